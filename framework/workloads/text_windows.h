// A text as perplexity feeds it: windows side by side, or such that overlap, each with what the tokenizer itself puts
// before a prompt (BOS, where it has one and adds it) and a piece of the text. The same tokens stand before a prompt of
// `generate`. Not here: what is counted of a window and how it is fed (measure_perplexity.cpp).
#pragma once

#include <filesystem>
#include <vector>

#include <attnlab/api.h>

#include "model/tokenizers/tokenizer.h"

namespace attnlab::experiment {

struct TextWindows {
  std::vector<std::vector<model::TokenId>> all;
  std::size_t first_counted = 1;  // tokens at the front of each that are not predicted: the tokenizer's, at least one,
                                  // and those that an earlier window has predicted
  bool begin_with_bos = false;
};

/// `context`: tokens of a window, the tokenizer's own included; the last one may be shorter. `stride`: tokens of the
/// text from the beginning of one window to that of the next; 0: they stand side by side. Of windows that overlap the
/// last `stride` tokens are predicted, so each with at least `context` - `stride` before it. `most`: 0 for all.
/// Error (where = the file) as read_text_tokens, and if the tokenizer's own tokens leave no room for text.
[[nodiscard]] ATTNLAB_API TextWindows read_text_windows(const std::filesystem::path& path,
                                                        const model::Tokenizer& tokenizer, int vocab_size, int context,
                                                        int stride, int most);

}  // namespace attnlab::experiment
