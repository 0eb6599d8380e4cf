#include "model/config/architecture.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace attnlab::model {
namespace {

struct Declared {
  std::vector<std::unique_ptr<const ArchitectureSpec>> specs;
  std::vector<const ArchitectureSpec*> sorted;
};

// Filled while the library is loaded, by objects of other files.
Declared& declared() {
  static Declared all;
  return all;
}

}  // namespace

DeclaredArchitecture::DeclaredArchitecture(ArchitectureSpec spec) {
  Declared& all = declared();
  all.specs.push_back(std::make_unique<const ArchitectureSpec>(std::move(spec)));
  all.sorted.push_back(all.specs.back().get());
  std::ranges::sort(all.sorted, {},
                    [](const ArchitectureSpec* spec) { return std::pair(spec->describes_body, spec->name); });
}

std::span<const ArchitectureSpec* const> all_architectures() {
  return declared().sorted;
}

Architecture architecture_named(std::string_view model_type) {
  const auto all = all_architectures();
  const auto found = std::ranges::find(all, model_type, &ArchitectureSpec::model_type);
  ATTNLAB_CHECK(found != all.end(), "no such architecture");
  return *found;
}

std::string_view architecture_name(Architecture architecture) noexcept {
  return architecture->name;
}

std::string_view architecture_type(Architecture architecture) noexcept {
  return architecture->model_type;
}

TensorLayout layout_of(const ModelConfig& config) {
  TensorLayout layout;
  if (config.architecture->lay_out != nullptr) config.architecture->lay_out(config, layout);
  return layout;
}

bool can_be_trained(Architecture architecture) noexcept {
  return architecture->in_yaml;
}

}  // namespace attnlab::model
