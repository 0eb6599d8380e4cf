// How much a cache may keep: tokens of every kv head, bytes of a sequence, or a share of each sequence's context. And
// the one grammar of numbers with a unit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

namespace attnlab {

struct LayerCacheContext;

/// A number as people write it: digits, optionally a fraction, an exponent, a blank and a unit.
struct Quantity {
  double number = 0;
  bool is_count = false;  // digits alone
  std::string_view unit;  // "%", "KiB" ...; may be empty
};
/// None where the text does not begin with a number that is finite and not negative.
[[nodiscard]] ATTNLAB_API std::optional<Quantity> parse_quantity(std::string_view text);
/// Bytes of B, KiB, MiB, GiB and TiB; none for other units.
[[nodiscard]] ATTNLAB_API std::optional<double> unit_bytes(std::string_view unit);

/// Bytes that a sequence takes, all layers and kv heads together, if every kv head keeps `rows` rows. Must not decrease
/// as `rows` grows.
using SequenceBytes = std::function<double(int rows)>;

struct ATTNLAB_API Budget {
  enum class Unit : std::uint8_t { tokens, bytes, share };
  double amount = 0;  // of a share: 0 to 1
  Unit unit = Unit::tokens;

  constexpr Budget() = default;
  constexpr Budget(int tokens) : amount(tokens) {}  // NOLINT: a number is a count of tokens
  /// "64"; "0.25", "2e-2" or "25%"; "512KiB", "1.5 MiB"; none for anything else, with the reason in `fault` where it is
  /// given. "1" is a token; "1.0" is refused, since it could be meant as the whole: that is "100%".
  [[nodiscard]] static std::optional<Budget> parse(std::string_view text, std::string* fault = nullptr);
  /// As YAML has it.
  [[nodiscard]] std::string text() const;

  /// Rows of every kv head in every layer that may stay, for each sequence of the context. A share is of the sequence's
  /// own capacity, at least one row. Bytes are those of a sequence, all layers and kv heads together, as they are
  /// allocated: the most rows for which `bytes_of` is within them. An Error where `least` rows take more bytes (it
  /// names how many), or where a share is asked of a length that is not known. Tokens and shares are not compared with
  /// `least`.
  [[nodiscard]] std::vector<int> rows(const LayerCacheContext& context, const SequenceBytes& bytes_of,
                                      int least = 1) const;
  /// The same for policies that keep no data of their own for a row.
  [[nodiscard]] std::vector<int> rows(const LayerCacheContext& context) const;
};

}  // namespace attnlab
