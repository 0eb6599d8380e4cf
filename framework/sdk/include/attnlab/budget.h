// How much a cache may keep: tokens of every kv head, bytes of a sequence, or a share of the context.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <attnlab/api.h>

namespace attnlab {

struct LayerCacheContext;

struct ATTNLAB_API Budget {
  enum class Unit : std::uint8_t { tokens, bytes, share };
  double amount = 0;
  Unit unit = Unit::tokens;

  constexpr Budget() = default;
  constexpr Budget(int tokens) : amount(tokens) {}  // NOLINT: a number is a count of tokens
  /// "64", "0.25", "512 KiB", "1.5MiB"; none for anything else.
  [[nodiscard]] static std::optional<Budget> parse(std::string_view text);
  /// As YAML has it.
  [[nodiscard]] std::string text() const;

  /// Rows of every kv head in every layer. Bytes are those of a sequence, all layers and kv heads together, in the
  /// chosen storage; a share is of the capacity. At least one.
  [[nodiscard]] int rows(const LayerCacheContext& context) const;
};

}  // namespace attnlab
