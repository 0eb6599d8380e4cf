#include "report/pages/html.h"

#include <algorithm>

#include <attnlab/error.h>

#include <nlohmann/json.hpp>

#include "report/charts/chart_style.h"
#include "report/pages/assets.h"
#include "report/pages/report_json.h"
#include "report/read/format.h"

namespace attnlab::report {
namespace {

// A mark is on a line of its own, so that nothing inside of a bundle can be taken for one.
constexpr std::string_view kMarkStart = "\n@";
constexpr std::string_view kMarkEnd = "@\n";
constexpr std::string_view kFile = "file ";

}  // namespace

std::string filled_page(std::string_view page, std::initializer_list<Filling> fillings) {
  std::string filled;
  for (;;) {
    const std::size_t start = page.find(kMarkStart);
    if (start == std::string_view::npos) return filled.append(page);
    const std::size_t end = page.find(kMarkEnd, start + 1);
    ATTNLAB_CHECK(end != std::string_view::npos, "a mark of a page has no end");
    filled.append(page.substr(0, start + 1));
    const std::string_view mark = page.substr(start + 2, end - start - 2);
    if (mark.starts_with(kFile)) {
      filled.append(asset(mark.substr(kFile.size())));
    } else {
      const auto* const found = std::ranges::find(fillings, mark, &Filling::key);
      ATTNLAB_CHECK(found != fillings.end(), "a page has a mark that nothing fills");
      filled.append(found->text);
    }
    page.remove_prefix(end + 1);  // the line feed stays: the next mark may begin with it
  }
}

std::string script_json(const nlohmann::ordered_json& json) {
  const std::string text = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::string escaped;
  escaped.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view three = std::string_view(text).substr(i, 3);
    if (text[i] == '<') {
      escaped += "\\u003c";
    } else if (text[i] == '>') {
      escaped += "\\u003e";
    } else if (text[i] == '&') {
      escaped += "\\u0026";
    } else if (three == "\u2028" || three == "\u2029") {  // line ends of JavaScript
      escaped += three == "\u2028" ? "\\u2028" : "\\u2029";
      i += 2;
    } else {
      escaped += text[i];
    }
  }
  return escaped;
}

std::string report_html(const Results& results) {
  return filled_page(asset("page.html"), {{"title", html_text(one_line(results.layout.name))},
                                          {"palette", palette_css()},
                                          {"data", script_json(report_json(results))},
                                          {"looks", script_json(page_looks())}});
}

}  // namespace attnlab::report
