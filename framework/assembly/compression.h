// What an arm's caches do to rows that later queries read: drop them, round them, read only some of them. Derived from
// what the components declare, so that a quality figure of tokens that never read the smaller cache is not taken for
// the quality of that cache. Not here: how much is dropped; that is counted where rows are fed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "assembly/arm_model.h"
#include "model/decoder.h"

namespace attnlab::experiment {

struct Compression {
  std::string part;  // cache "h2o", storage "int8": the first of the layers'
  std::string does;  // may drop rows
  /// The queries of a prompt meet its rows as later ones do: the policy hides what it will drop, the storage rounds
  /// when rows come. Else a prompt is answered with all rows as they are, and the cache gets smaller after it.
  bool is_in_prompt = false;
  bool drops_rows = false;  // in some layer

  /// `cache "h2o" may drop rows`
  [[nodiscard]] std::string text() const { return part + " " + does; }
  /// What is to be said of figures that come from prompts alone.
  [[nodiscard]] ATTNLAB_API std::string unread() const;
};

/// None where every row stays as it is and is read. `session`: of the arm's model, whose caches are asked too.
[[nodiscard]] ATTNLAB_API std::optional<Compression> compression_of(const ResolvedArm& arm, const Registry& registry,
                                                                    model::Session& session);

/// Sentences on layers whose cache keeps at least what their attention sees, as the two say themselves.
[[nodiscard]] ATTNLAB_API std::vector<std::string> idle_notes(const ResolvedArm& arm, const model::Decoder& decoder,
                                                              model::Session& session);

/// Sentences on what the figures of the arm do not hold though the options of its caches would make a reader expect it.
/// `compresses`: whether compression_of found something.
[[nodiscard]] ATTNLAB_API std::vector<std::string> cache_notes(const ResolvedArm& arm, const Registry& registry,
                                                               bool compresses);

}  // namespace attnlab::experiment
