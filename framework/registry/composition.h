// Whether components can be combined, from what they declare; decided before anything is loaded or run.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/features.h>
#include <attnlab/options.h>

#include "registry/registry.h"

namespace attnlab {

/// One component of an arm as the check sees it.
struct Part {
  Kind kind;
  std::string id;
  Traits traits;
  OptionValues options = {};  // of which the traits are
};

/// What keeps parts from going together, by their indices: one excludes what another provides, or (no other) needs what
/// none of the others provides.
struct Clash {
  Feature feature;
  std::size_t part;
  std::optional<std::size_t> other;
  bool operator==(const Clash&) const = default;
};

/// In the order of the parts that exclude or need.
[[nodiscard]] std::vector<Clash> clashes(std::span<const Part> parts);

/// One sentence per conflict, naming both sides and why; empty: the parts go together.
[[nodiscard]] ATTNLAB_API std::vector<std::string> conflicts(std::span<const Part> parts);
/// The same, each with what of the registry would be legal instead.
[[nodiscard]] ATTNLAB_API std::vector<std::string> conflicts(std::span<const Part> parts, const Registry& registry);

/// Notes for the report on parts that go together: which part decides for which, and by what.
[[nodiscard]] ATTNLAB_API std::vector<std::string> notes(std::span<const Part> parts);

}  // namespace attnlab
