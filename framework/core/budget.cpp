#include <attnlab/budget.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <attnlab/cache_policy.h>

#include <fmt/format.h>

namespace attnlab {
namespace {

constexpr double kKibibyte = 1024;

}  // namespace

std::optional<Budget> Budget::parse(std::string_view text) {
  Budget budget;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), budget.amount);
  if (error != std::errc() || !std::isfinite(budget.amount) || budget.amount < 0) return std::nullopt;
  std::string_view unit = text.substr(end - text.data());
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit == "KiB" || unit == "MiB") {
    budget.unit = Unit::bytes;
    budget.amount *= unit == "KiB" ? kKibibyte : kKibibyte * kKibibyte;
    return budget;
  }
  if (!unit.empty()) return std::nullopt;
  if (text.find_first_of(".eE") != std::string_view::npos) {
    if (budget.amount > 1) return std::nullopt;
    budget.unit = Unit::share;
    return budget;
  }
  if (budget.amount > 2147483647.0) return std::nullopt;
  return budget;
}

std::string Budget::text() const {
  switch (unit) {
    case Unit::tokens:
      return fmt::format("{}", static_cast<std::int64_t>(amount));
    case Unit::bytes:
      return fmt::format("{}KiB", amount / kKibibyte);
    case Unit::share:
      break;
  }
  const std::string share = fmt::format("{}", amount);
  return share.find_first_of(".eE") == std::string::npos ? share + ".0" : share;
}

int Budget::rows(const LayerCacheContext& context) const {
  double rows = amount;
  if (unit == Unit::share) rows = amount * context.capacity;
  if (unit == Unit::bytes) rows = amount / (context.layers * std::max(context.shape.kv_heads, 1) * context.row_bytes);
  // What was asked for may be nothing; a share or bytes that come to less than a row are one.
  return static_cast<int>(std::clamp(std::floor(rows + 1e-9), amount == 0 ? 0.0 : 1.0, 2147483647.0));
}

}  // namespace attnlab
