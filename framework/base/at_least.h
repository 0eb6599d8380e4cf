// Room that is kept from step to step, so that a step neither allocates nor clears it.
#pragma once

#include <cstdint>
#include <vector>

namespace attnlab {

/// Grows to as many elements, and stays.
template <class Element>
[[nodiscard]] Element* at_least(std::vector<Element>& room, std::int64_t count) {
  if (room.size() < static_cast<std::size_t>(count)) room.resize(static_cast<std::size_t>(count));
  return room.data();
}

}  // namespace attnlab
