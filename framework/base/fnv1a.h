// FNV-1a, 64 bits (Fowler, Noll, Vo): a number for a name. It never changes, so what is made from it stays the same
// (random weights, names of kept files). Guards nothing: see sha256 for that.
#pragma once

#include <cstdint>
#include <string_view>

namespace attnlab {

[[nodiscard]] constexpr std::uint64_t fnv1a(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : text) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  return hash;
}

}  // namespace attnlab
