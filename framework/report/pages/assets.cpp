#include "report/pages/assets.h"

#include <algorithm>

#include <attnlab/error.h>

namespace attnlab::report {
namespace {

struct Asset {
  std::string_view name;
  const char* text;
};
const Asset kAssets[] = {
#include "report_assets.inc"
};

}  // namespace

std::string_view asset(std::string_view name) {
  const auto* const found = std::ranges::find(kAssets, name, &Asset::name);
  ATTNLAB_CHECK(found != std::end(kAssets), "a page names an asset that is not compiled in");
  return found->text;
}

}  // namespace attnlab::report
