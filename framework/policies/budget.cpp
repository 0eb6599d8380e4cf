#include <attnlab/budget.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <attnlab/cache_policy.h>
#include <attnlab/error.h>

#include <fmt/format.h>

namespace attnlab {
namespace {

constexpr double kKibibyte = 1024;
constexpr int kMostRows = 1 << 30;  // what is computed from it is an int too

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The end of [0-9]+(.[0-9]+)?([eE][+-]?[0-9]+)?; 0 where the text does not begin so.
std::size_t end_of_number(std::string_view text) {
  const auto digits_from = [&](std::size_t at) {
    while (at < text.size() && is_digit(text[at])) ++at;
    return at;
  };
  std::size_t end = digits_from(0);
  if (end == 0) return 0;
  if (end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) end = digits_from(end + 1);
  std::size_t exponent = end;
  if (exponent < text.size() && (text[exponent] == 'e' || text[exponent] == 'E')) {
    ++exponent;
    if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) ++exponent;
    if (exponent < text.size() && is_digit(text[exponent])) end = digits_from(exponent);
  }
  return end;
}

std::optional<Budget> of(double amount, Budget::Unit unit) {
  Budget budget;
  budget.amount = amount;
  budget.unit = unit;
  return budget;
}

int most_rows(double bytes, const SequenceBytes& bytes_of, int least, const std::string& text) {
  if (bytes_of(least) > bytes)
    throw Error("",
                fmt::format("the budget {} is less than {} rows of every kv head and layer take, {:.0f} bytes", text,
                            least, bytes_of(least)),
                fmt::format("give at least {:.0f}KiB, or a storage with smaller pages",
                            std::ceil(bytes_of(least) / kKibibyte)));
  int most = 2 * least;
  while (most < kMostRows / 2 && bytes_of(most) <= bytes) {
    least = most;
    most *= 2;
  }
  while (most - least > 1) {
    const int middle = least + (most - least) / 2;
    (bytes_of(middle) <= bytes ? least : most) = middle;
  }
  return least;
}

}  // namespace

std::optional<Quantity> parse_quantity(std::string_view text) {
  const std::size_t end = end_of_number(text);
  if (end == 0) return std::nullopt;
  Quantity quantity;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + end, quantity.number);
  if (error != std::errc() || stop != text.data() + end || !std::isfinite(quantity.number)) return std::nullopt;
  quantity.is_count = std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), is_digit);
  quantity.unit = text.substr(end);
  if (quantity.unit.starts_with(' ')) quantity.unit.remove_prefix(1);
  return quantity;
}

std::optional<double> unit_bytes(std::string_view unit) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double bytes = 1;
  for (const std::string_view known : kUnits) {
    if (unit == known) return bytes;
    bytes *= kKibibyte;
  }
  return std::nullopt;
}

std::optional<Budget> Budget::parse(std::string_view text, std::string* fault) {
  const auto refuse = [&](std::string why) {
    if (fault != nullptr) *fault = std::move(why);
    return std::nullopt;
  };
  const std::optional<Quantity> quantity = parse_quantity(text);
  if (!quantity) return refuse("is no number with or without a unit");
  const double number = quantity->number;
  if (const auto bytes = unit_bytes(quantity->unit)) return of(number * *bytes, Unit::bytes);
  if (quantity->unit == "%") {
    if (number <= 0 || number > 100) return refuse("is no share between 0 and 100 %");
    return of(number / 100, Unit::share);
  }
  if (!quantity->unit.empty()) return refuse("has a unit that is not known");
  if (!quantity->is_count && number <= 1) {
    if (number == 1) return refuse("could be one token or the whole: write 1 or 100%");
    if (number <= 0) return refuse("is nothing");
    return of(number, Unit::share);
  }
  if (number != std::floor(number)) return refuse("is more than the whole, and no count of tokens");
  if (number > kMostRows) return refuse("is too much");
  return of(number, Unit::tokens);
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
  return amount < 1 ? fmt::format("{}", amount) : "100%";
}

std::vector<int> Budget::rows(const LayerCacheContext& context, const SequenceBytes& bytes_of, int least) const {
  std::vector<int> rows(context.sequences);
  for (int sequence = 0; sequence < context.sequences; ++sequence) {
    if (unit == Unit::tokens) {
      rows[sequence] = static_cast<int>(amount);
    } else if (unit == Unit::bytes) {
      rows[sequence] = sequence > 0 ? rows[0] : most_rows(amount, bytes_of, std::max(least, 1), text());
    } else {
      if (context.capacity(sequence) == 0)
        throw Error("", fmt::format("{} is a share of a context whose length is not known", text()),
                    "give the budget in tokens or bytes");
      rows[sequence] = std::max(1, static_cast<int>(std::floor(amount * context.capacity(sequence) + 1e-9)));
    }
  }
  return rows;
}

std::vector<int> Budget::rows(const LayerCacheContext& context) const {
  return rows(context, context.sequence_bytes());
}

SequenceBytes LayerCacheContext::sequence_bytes(double own) const {
  return [lists = static_cast<double>(cache_count()) * std::max(shape.kv_heads, 1), list_bytes = list_bytes,
          own](int rows) { return lists * (list_bytes(rows + 1) + own * (rows + 1)); };
}

}  // namespace attnlab
