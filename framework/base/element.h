// How a stored number is held: weights as they stand in a checkpoint, or as codes that groups of them share a scale of.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace attnlab {

enum class ElementType : std::uint8_t { f32, bf16, f16, int8, int4 };

/// Whether numbers are held as codes with a scale for each group.
[[nodiscard]] constexpr bool is_coded(ElementType type) noexcept {
  return type == ElementType::int8 || type == ElementType::int4;
}

/// Of a number that is held by itself; not of codes.
[[nodiscard]] constexpr std::size_t element_bytes(ElementType type) noexcept {
  return type == ElementType::f32 ? 4 : 2;
}

/// By value: "f32", "bf16", "f16", "int8", "int4".
inline constexpr std::array<std::string_view, 5> kElementNames{"f32", "bf16", "f16", "int8", "int4"};

[[nodiscard]] constexpr std::string_view element_name(ElementType type) noexcept {
  return kElementNames[static_cast<std::size_t>(type)];
}
[[nodiscard]] constexpr std::optional<ElementType> element_type(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kElementNames, name);
  if (found == kElementNames.end()) return std::nullopt;
  return static_cast<ElementType>(found - kElementNames.begin());
}

/// As which weights can be held where an arm says so.
inline constexpr std::array<std::string_view, 4> kWeightTypes{"f32", "bf16", "int8", "int4"};

/// What a product multiplies; its sums are f32 in either.
enum class Arithmetic : std::uint8_t { f32, bf16 };

/// By value.
inline constexpr std::array<std::string_view, 2> kArithmetics{"f32", "bf16"};

[[nodiscard]] constexpr std::string_view arithmetic_name(Arithmetic arithmetic) noexcept {
  return kArithmetics[static_cast<std::size_t>(arithmetic)];
}
[[nodiscard]] constexpr std::optional<Arithmetic> arithmetic_of(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kArithmetics, name);
  if (found == kArithmetics.end()) return std::nullopt;
  return static_cast<Arithmetic>(found - kArithmetics.begin());
}

}  // namespace attnlab
