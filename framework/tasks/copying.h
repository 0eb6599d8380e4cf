// What copy and selective_copy have in common (Poli et al. 2024, MAD; Arjovsky et al. 2016): tokens that are repeated
// after a marker, with blanks among or after them. The two highest ids are the blank and the marker.
#pragma once

#include <memory>

#include "tasks/generated.h"

namespace attnlab::tasks {

/// The defaults are MAD's.
struct CopyingOptions {
  int length = 256;
  int tokens = 16;
  int vocab = 16;
  Feed feed = Feed::blank;

  static constexpr auto fields() {
    using C = CopyingOptions;
    return std::tuple{
        field("length", &C::length, {.min = 2, .max = 1 << 20, .unit = "tokens", .doc = "An example, with blanks."}),
        field("tokens", &C::tokens, {.min = 1, .max = 1 << 18, .doc = "That are repeated."}),
        field("vocab", &C::vocab, {.min = 3, .max = 1 << 24, .doc = "Tokens, with the blank and the marker."}),
        field("feed", &C::feed, {.doc = "What is fed where the answer is asked for: blanks, or the answer so far."})};
  }
  static void check(const CopyingOptions& options, Problems& problems) {
    const int least = options.tokens + asked_tokens(options.tokens, options.feed);
    if (options.length < least)
      problems.add("length", "is too short for the tokens, their copy and the marker: " + std::to_string(least));
  }
};

/// Blanks stand after the tokens, or each before a token that is drawn for it.
enum class Blanks : std::uint8_t { after, among };

[[nodiscard]] std::unique_ptr<Task> make_copying(const CopyingOptions& options, Blanks blanks,
                                                 const TaskReading& reading);

}  // namespace attnlab::tasks
