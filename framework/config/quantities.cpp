#include "config/quantities.h"

#include <charconv>
#include <cmath>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "config/scalars.h"

namespace attnlab::config {
namespace {

constexpr const char* kBytesForm = "write bytes as in 8GiB or 512MiB";
constexpr const char* kShareForm = "write a share as in 2% or 0.02";

struct Quantity {
  double number = 0;
  std::string_view unit;  // without the blank before it
};

// [0-9]+(\.[0-9]+)? and what stands behind it.
std::optional<Quantity> split(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view digits = text.substr(0, end);
  if (digits.empty() || digits.starts_with('.') || digits.ends_with('.')) return std::nullopt;
  Quantity quantity;
  const auto [stop, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), quantity.number);
  if (failure != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  quantity.unit = text.substr(end);
  if (quantity.unit.starts_with(' ')) quantity.unit.remove_prefix(1);
  return quantity;
}

std::optional<double> unit_bytes(std::string_view unit) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double bytes = 1;
  for (const std::string_view known : kUnits) {
    if (unit == known) return bytes;
    bytes *= 1024;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> as_bytes(const Node& node, std::string_view name, ProblemList& problems) {
  constexpr double kMost = 0x1p60;
  const auto quantity = node.is_scalar() ? split(node.text()) : std::nullopt;
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
  const auto quantity = node.is_scalar() ? split(node.text()) : std::nullopt;
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
