// Quality through the arm's own cache: the policy acts while the text is fed.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <attnlab/error.h>

#include "assembly/feeding.h"
#include "base/sha256.h"
#include "ops/vector_kernels.h"
#include "workloads/perplexity.h"
#include "workloads/text_windows.h"

namespace attnlab::experiment {
namespace {

using model::TokenId;

double nll(std::span<const float> logits, TokenId target) {
  return vec::log_sum_exp(logits) - logits[target];
}

// What the baseline's predictions must have been made of, to be compared with those of this trial.
BaselineIdentity identity_of(const std::vector<std::vector<TokenId>>& windows, int vocab, int prefill) {
  std::string text = fmt::format("prefill {}", prefill);
  for (const auto& window : windows) text += fmt::format("\n{}", fmt::join(window, " "));
  return {static_cast<std::uint32_t>(vocab), sha256_of_text(text)};
}

// Sums over the counted tokens of one window.
struct WindowScore {
  std::int64_t tokens = 0;
  double nll = 0;
  Divergence divergence;
};

// What becomes of the logits of every counted token: a loss, and the distance from the baseline's.
class Scores {
 public:
  Scores(const BaselineFile& baseline, const BaselineIdentity& identity) {
    if (baseline.role == BaselineFile::Role::written) writer_.emplace(baseline.path, identity);
    if (baseline.role == BaselineFile::Role::read) try_reading([&] { reader_.emplace(baseline.path, identity); });
  }

  void start_window() { windows_.emplace_back(); }

  void count(std::span<const float> logits, TokenId target) {
    WindowScore& window = windows_.back();
    ++window.tokens;
    window.nll += nll(logits, target);
    if (writer_) {
      writer_->add(logits);
      ++window.divergence.same_top;
      ++window.divergence.same_bits;
    }
    if (reader_)
      try_reading([&] {
        const Divergence one = reader_->compare(logits);
        window.divergence.kl += one.kl;
        window.divergence.same_top += one.same_top;
        window.divergence.same_bits += one.same_bits;
      });
  }

  // After the last token.
  void finish() {
    std::erase_if(windows_, [](const WindowScore& window) { return window.tokens == 0; });
    if (is_empty()) return;
    if (writer_) writer_->keep();
    if (reader_) try_reading([&] { reader_->finish(); });
  }

  void add_to(Measured& measured) const {
    WindowScore all;
    for (const WindowScore& window : windows_) {
      all.tokens += window.tokens;
      all.nll += window.nll;
      all.divergence.kl += window.divergence.kl;
      all.divergence.same_top += window.divergence.same_top;
      all.divergence.same_bits += window.divergence.same_bits;
    }
    const auto tokens = static_cast<double>(all.tokens);
    measured.has_nonfinite_logits = !std::isfinite(all.nll);
    measured.add("nll_per_token", "nats", "lower", all.nll / tokens, true);
    measured.add("perplexity", "", "lower", std::exp(all.nll / tokens), true);
    measured.details["nll_sum"] = all.nll;
    measured.details["tokens"] = all.tokens;
    add_windows(measured, "tokens", [](const WindowScore& window) { return window.tokens; });
    add_windows(measured, "nll", [](const WindowScore& window) { return window.nll; });
    if (!problem_.empty()) measured.details["notes"].push_back("no KL to the baseline: " + problem_);
    if (!writer_ && !reader_) return;
    measured.add("kl_to_baseline", "nats", "lower", all.divergence.kl / tokens, true);
    measured.add("same_top_token", "share", "higher", static_cast<double>(all.divergence.same_top) / tokens, true);
    measured.add("same_bits_as_baseline", "share", "none", static_cast<double>(all.divergence.same_bits) / tokens,
                 true);
    add_windows(measured, "kl", [](const WindowScore& window) { return window.divergence.kl; });
    add_windows(measured, "same_top", [](const WindowScore& window) { return window.divergence.same_top; });
    if (reader_) measured.details["kl_is_exact"] = reader_->is_exact();  // else a lower bound
  }

  [[nodiscard]] bool is_empty() const { return windows_.empty(); }
  [[nodiscard]] std::int64_t tokens() const {
    return std::accumulate(windows_.begin(), windows_.end(), std::int64_t{0},
                           [](std::int64_t sum, const WindowScore& window) { return sum + window.tokens; });
  }

 private:
  // A comparison that cannot be made is no failure of the arm: its own figures stand.
  template <class Reading>
  void try_reading(const Reading& reading) {
    try {
      reading();
    } catch (const Error& error) {
      problem_ = error.problems().front().text();
      reader_.reset();
    }
  }

  // JSON has no number that is none: a series that holds one is left out.
  template <class Figure>
  void add_windows(Measured& measured, const char* key, const Figure& figure) const {
    nlohmann::json values = nlohmann::json::array();
    for (const WindowScore& window : windows_) {
      if (!std::isfinite(static_cast<double>(figure(window)))) return;
      values.push_back(figure(window));
    }
    measured.details["windows"][key] = std::move(values);
  }

  std::optional<BaselineWriter> writer_;
  std::optional<BaselineReader> reader_;
  std::string problem_;
  std::vector<WindowScore> windows_;
};

// Where every window is one prompt all its tokens are counted; else only the tokens after the prompt are. Those before
// `first_counted` never are. Returns how many were predicted by a token that was fed after the prompt, and so read what
// the cache keeps then.
std::int64_t run_window(model::Decoder& decoder, const std::vector<TokenId>& window, std::size_t first_counted,
                        const PerplexityWorkload& workload, Scores& scores, CacheUse& use) {
  model::Session session = decoder.make_session(1, workload.context);
  const bool whole = workload.is_whole();
  const std::span<const TokenId> prompt =
      std::span(window).first(std::min<std::size_t>(workload.prefill, window.size()));
  std::vector<float> logits(decoder.config().vocab_size);
  scores.start_window();
  feed_prompt(decoder, session, 0, prompt, kPrefillChunk, [&](int first, TensorView<const float, 2> hidden) {
    if (whole) {
      // Where windows overlap, most rows predict what an earlier window has scored.
      const std::int64_t from = std::max<std::int64_t>(0, static_cast<std::int64_t>(first_counted) - 1 - first);
      if (from >= hidden.extent(0)) return;
      each_logits(decoder, hidden.slice(from, hidden.extent(0) - from), [&](int row, std::span<const float> of_row) {
        const std::size_t next = static_cast<std::size_t>(first + from + row) + 1;
        if (next < window.size()) scores.count(of_row, window[next]);
      });
    } else if (first + hidden.extent(0) == static_cast<std::int64_t>(prompt.size())) {
      decoder.logits(hidden.slice(hidden.extent(0) - 1, 1), {logits.data(), {1, decoder.config().vocab_size}});
    }
  });
  use.count_step(session);
  for (std::size_t token = prompt.size(); token < window.size(); ++token) {
    if (token >= first_counted) scores.count(logits, window[token]);
    // The last token is fed too: its rows and the check after it belong to the window.
    const model::SequenceTokens fed{.sequence = 0, .tokens = {&window[token], 1}, .phase = Phase::decode};
    decoder.logits(decoder.forward(session, {&fed, 1}), {logits.data(), {1, decoder.config().vocab_size}});
    use.count_step(session);
  }
  use.count_end(session);
  // The first one after the prompt is predicted by the prompt's last token.
  const std::size_t first_read = std::max(prompt.size() + 1, first_counted);
  return static_cast<std::int64_t>(window.size() - std::min(first_read, window.size()));
}

}  // namespace

Measured measure_perplexity(model::Decoder& decoder, const model::Tokenizer& tokenizer,
                            const PerplexityWorkload& workload, const BaselineFile& baseline,
                            const std::optional<Compression>& compression) {
  const int vocab = decoder.config().vocab_size;
  const TextWindows windows =
      read_text_windows(workload.text, tokenizer, vocab, workload.context, workload.stride, workload.max_windows);
  Scores scores(baseline, identity_of(windows.all, vocab, workload.prefill));
  CacheUse use;
  std::int64_t read = 0;
  for (const auto& window : windows.all)
    read += run_window(decoder, window, windows.first_counted, workload, scores, use);
  scores.finish();
  if (scores.is_empty())
    throw Error(workload.text.string(), "no token of the text comes after a prompt, so nothing is counted",
                "use a longer text or a shorter prefill");
  Measured measured;
  scores.add_to(measured);
  measured.details["windows_begin_with_bos"] = windows.begin_with_bos;
  measured.add_scored(scores.tokens(), read, use, compression);
  measured.add_cache(use);
  return measured;
}

}  // namespace attnlab::experiment
