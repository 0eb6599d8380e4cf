// How a stored number is held: weights as they stand in a checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>

namespace attnlab {

enum class ElementType : std::uint8_t { f32, bf16, f16 };

[[nodiscard]] constexpr std::size_t element_bytes(ElementType type) noexcept {
  return type == ElementType::f32 ? 4 : 2;
}

}  // namespace attnlab
