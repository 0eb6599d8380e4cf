#include "workloads/text_windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include <attnlab/error.h>

#include "assembly/prompt.h"

namespace attnlab::experiment {

using model::TokenId;

TextWindows read_text_windows(const std::filesystem::path& path, const model::Tokenizer& tokenizer, int vocab_size,
                              int context, int stride, int most) {
  const std::vector<TokenId> ids = read_text_tokens(path, tokenizer, vocab_size);
  const std::span<const TokenId> before = tokenizer.before_prompt();
  if (!before.empty()) check_prompt({before.begin(), before.end()}, vocab_size, path.string());
  if (static_cast<std::size_t>(context) <= before.size())
    throw Error(
        path.string(),
        fmt::format("a context of {} has no room for text after the {} tokens that the tokenizer puts before it",
                    context, before.size()),
        "give a longer context");
  TextWindows windows{.first_counted = std::max<std::size_t>(before.size(), 1), .begin_with_bos = tokenizer.adds_bos()};
  const std::size_t piece = static_cast<std::size_t>(context) - before.size();
  const std::size_t step = stride > 0 ? std::min<std::size_t>(stride, piece) : piece;
  windows.first_counted = std::max(windows.first_counted, static_cast<std::size_t>(context) - step);
  // A window that does not reach beyond the one before predicts nothing.
  for (std::size_t first = 0; first == 0 || first + piece < ids.size() + step; first += step) {
    if (most > 0 && static_cast<int>(windows.all.size()) == most) break;
    std::vector<TokenId>& window = windows.all.emplace_back(before.begin(), before.end());
    window.insert(window.end(), ids.begin() + static_cast<std::ptrdiff_t>(first),
                  ids.begin() + static_cast<std::ptrdiff_t>(std::min(first + piece, ids.size())));
  }
  return windows;
}

}  // namespace attnlab::experiment
