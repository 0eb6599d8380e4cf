#include "config/quantities.h"

#include <cmath>
#include <string>

#include <attnlab/budget.h>
#include <fmt/format.h>

#include "config/scalars.h"

namespace attnlab::config {
namespace {

constexpr const char* kBytesForm = "write bytes as in 8GiB or 512MiB";
constexpr const char* kCountForm = "write a whole number, or thousands as in 100k, 5M or 1G";
constexpr const char* kShareForm = "write a share as in 2% or 0.02";

}  // namespace

std::optional<std::int64_t> as_count(const Node& node, std::string_view name, ProblemList& problems, std::int64_t min) {
  constexpr double kMost = 0x1p53;
  const auto quantity = node.is_scalar() && !node.quoted() ? parse_quantity(node.text()) : std::nullopt;
  const double unit = !quantity || quantity->unit.empty() ? 1
                      : quantity->unit == "k"             ? 1e3
                      : quantity->unit == "M"             ? 1e6
                      : quantity->unit == "G"             ? 1e9
                                                          : 0;
  const double count = quantity ? quantity->number * unit : 0;
  if (!quantity || unit == 0 || count != std::floor(count) || count > kMost) {
    problems.add(node.mark(), fmt::format("{}: expected a count, got {}", name, describe(node)), kCountForm);
    return std::nullopt;
  }
  const std::string fault = bounds_fault(static_cast<std::int64_t>(count), static_cast<double>(min), kInfinity);
  if (fault.empty()) return static_cast<std::int64_t>(count);
  problems.add(node.mark(), fmt::format("{}: {}", name, fault));
  return std::nullopt;
}

std::optional<std::uint64_t> as_bytes(const Node& node, std::string_view name, ProblemList& problems) {
  constexpr double kMost = 0x1p60;
  const auto quantity = node.is_scalar() ? parse_quantity(node.text()) : std::nullopt;
  const auto unit = quantity ? quantity->unit.empty() ? std::optional(1.0) : unit_bytes(quantity->unit) : std::nullopt;
  if (!unit) {
    problems.add(node.mark(), fmt::format("{}: expected bytes, got {}", name, describe(node)), kBytesForm);
    return std::nullopt;
  }
  const double bytes = quantity->number * *unit;
  if (bytes < 1 || bytes > kMost) {
    problems.add(node.mark(), fmt::format("{}: {} is {}", name, node.text(), bytes < 1 ? "nothing" : "too much"),
                 kBytesForm);
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

std::optional<double> as_share(const Node& node, std::string_view name, ProblemList& problems) {
  const auto quantity = node.is_scalar() ? parse_quantity(node.text()) : std::nullopt;
  if (!quantity || (!quantity->unit.empty() && quantity->unit != "%")) {
    problems.add(node.mark(), fmt::format("{}: expected a share, got {}", name, describe(node)), kShareForm);
    return std::nullopt;
  }
  const double share = quantity->unit.empty() ? quantity->number : quantity->number / 100;
  if (share > 0 && share < 1) return share;
  problems.add(node.mark(), fmt::format("{}: {} is not between 0 and 100 %", name, node.text()), kShareForm);
  return std::nullopt;
}

}  // namespace attnlab::config
