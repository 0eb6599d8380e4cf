// Quality through the arm's own cache: the policy is live while the text goes by.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <numeric>

#include <attnlab/error.h>

#include "experiment/feeding.h"
#include "experiment/latency.h"
#include "experiment/measures.h"
#include "experiment/prompt.h"
#include "model/sampling.h"
#include "ops/vector_kernels.h"

namespace attnlab::experiment {

void Measured::add_cache(std::span<const double> kv_bytes, std::int64_t evicted) {
  const double sum = std::accumulate(kv_bytes.begin(), kv_bytes.end(), 0.0);
  add("kv_bytes_mean", "bytes", "lower", sum / static_cast<double>(kv_bytes.size()), true);
  add("kv_bytes_peak", "bytes", "lower", *std::max_element(kv_bytes.begin(), kv_bytes.end()), true);
  add("kv_bytes_allocated", "bytes", "lower", kv_bytes.back(), true);
  add("rows_evicted", "", "none", static_cast<double>(evicted), true);
}

namespace {

using model::TokenId;

double nll(std::span<const float> logits, TokenId target) { return vec::log_sum_exp(logits) - logits[target]; }

// Windows of `context` tokens, each BOS and a piece of the text. A tokenizer without BOS: the piece alone, whose first
// token nothing predicts.
std::vector<std::vector<TokenId>> windows(const std::vector<TokenId>& ids, std::optional<TokenId> bos,
                                          const PerplexityWorkload& workload) {
  const std::size_t piece = workload.context - (bos ? 1 : 0);
  std::vector<std::vector<TokenId>> all;
  for (std::size_t first = 0; first < ids.size(); first += piece) {
    if (workload.max_windows > 0 && static_cast<int>(all.size()) == workload.max_windows) break;
    std::vector<TokenId> window;
    if (bos) window.push_back(*bos);
    window.insert(window.end(), ids.begin() + static_cast<std::ptrdiff_t>(first),
                  ids.begin() + static_cast<std::ptrdiff_t>(std::min(first + piece, ids.size())));
    all.push_back(std::move(window));
  }
  return all;
}

struct Losses {
  double sum = 0;
  std::int64_t count = 0;
  std::vector<double> kv_bytes;  // after every step that was counted
  std::int64_t evicted = 0;
};

// `whole`: every window is one prompt and all its tokens are counted; else only the tokens after the prompt are.
void run_window(model::Decoder& decoder, const std::vector<TokenId>& window, int context, int prefill,
                bool whole, Losses& losses) {
  model::Session session = decoder.make_session(1, context);
  const std::span<const TokenId> prompt = std::span(window).first(std::min<std::size_t>(prefill, window.size()));
  std::vector<float> logits(decoder.config().vocab_size);
  feed_prompt(decoder, session, 0, prompt, kPrefillChunk, [&](int first, TensorView<const float, 2> hidden) {
    if (whole) {
      each_logits(decoder, hidden, [&](int row, std::span<const float> of_row) {
        const std::size_t next = static_cast<std::size_t>(first + row) + 1;
        if (next >= window.size()) return;
        losses.sum += nll(of_row, window[next]);
        ++losses.count;
      });
    } else if (first + hidden.extent(0) == static_cast<std::int64_t>(prompt.size())) {
      decoder.logits(hidden.slice(hidden.extent(0) - 1, 1), {logits.data(), {1, decoder.config().vocab_size}});
    }
  });
  losses.kv_bytes.push_back(static_cast<double>(session.kv_bytes()));
  for (std::size_t token = prompt.size(); token < window.size(); ++token) {
    losses.sum += nll(logits, window[token]);
    ++losses.count;
    // The last token is fed too: its rows and the check behind it belong to the window.
    const model::SequenceTokens fed{.sequence = 0, .tokens = {&window[token], 1}, .phase = Phase::decode};
    decoder.logits(decoder.forward(session, {&fed, 1}), {logits.data(), {1, decoder.config().vocab_size}});
    losses.kv_bytes.push_back(static_cast<double>(session.kv_bytes()));
  }
  losses.evicted += session.appended_rows() - session.live_rows();
}

}  // namespace

Measured measure_perplexity(model::Decoder& decoder, const model::Tokenizer& tokenizer,
                            const PerplexityWorkload& workload) {
  const std::vector<TokenId> ids = read_text_tokens(workload.text, tokenizer, decoder.config().vocab_size);
  Losses losses;
  for (const auto& window : windows(ids, tokenizer.bos(), workload))
    run_window(decoder, window, workload.context, workload.prefill, workload.prefill >= workload.context, losses);
  if (losses.count == 0)
    throw Error(workload.text.string(), "no token of the text comes after a prompt, so nothing is counted",
                "use a longer text or a shorter prefill");
  const double mean = losses.sum / static_cast<double>(losses.count);
  Measured measured;
  measured.add("nll_per_token", "nats", "lower", mean, true);
  measured.add("perplexity", "", "lower", std::exp(mean), true);
  measured.add_cache(losses.kv_bytes, losses.evicted);
  measured.details["nll_sum"] = losses.sum;
  measured.details["tokens"] = losses.count;
  return measured;
}

Measured measure_generate(model::Decoder& decoder, const model::Tokenizer& tokenizer, const GenerateWorkload& workload,
                          std::uint64_t seed) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const std::vector<TokenId> prompt = encode_prompt(tokenizer, workload.prompt);
  const int vocab = decoder.config().vocab_size;
  check_prompt(prompt, vocab, "generate: prompt");
  model::Session session = decoder.make_session(1, static_cast<int>(prompt.size()) + workload.tokens);
  std::vector<float> logits(vocab);
  model::Sampler sampler({.temperature = workload.temperature,
                          .top_k = workload.top_k,
                          .top_p = workload.top_p,
                          .seed = workload.seed ? static_cast<std::uint64_t>(*workload.seed) : seed});
  const auto stream = tokenizer.stream();
  std::string text;
  for (const TokenId token : prompt) text += stream->push(token);
  const Clock::time_point start = Clock::now();
  feed_prompt(decoder, session, 0, prompt, kPrefillChunk, [&](int first, TensorView<const float, 2> hidden) {
    if (first + hidden.extent(0) == static_cast<std::int64_t>(prompt.size()))
      decoder.logits(hidden.slice(hidden.extent(0) - 1, 1), {logits.data(), {1, vocab}});
  });
  const double first_token = seconds_since(start);
  std::vector<double> latencies;
  for (int i = 0; i < workload.tokens; ++i) {
    const Clock::time_point step = Clock::now();
    const TokenId next = sampler.next(logits);
    text += next < tokenizer.vocab_size() ? stream->push(next) : std::string("\xEF\xBF\xBD");
    if (i + 1 == workload.tokens) break;
    const model::SequenceTokens fed{.sequence = 0, .tokens = {&next, 1}, .phase = Phase::decode};
    decoder.logits(decoder.forward(session, {&fed, 1}), {logits.data(), {1, vocab}});
    latencies.push_back(seconds_since(step));
  }
  text += stream->finish();
  Measured measured;
  measured.add("time_to_first_token_s", "s", "lower", first_token);
  if (!latencies.empty()) {
    const double total = std::accumulate(latencies.begin(), latencies.end(), 0.0);
    measured.add("decode_tokens_per_second", "tokens/s", "higher", static_cast<double>(latencies.size()) / total);
    measured.add("token_latency_p50_s", "s", "lower", latency_quantile(latencies, 0.50));
    measured.add("token_latency_p95_s", "s", "lower", latency_quantile(latencies, 0.95));
    measured.add("token_latency_p99_s", "s", "lower", latency_quantile(latencies, 0.99));
  }
  measured.add("kv_bytes_allocated", "bytes", "lower", static_cast<double>(session.kv_bytes()), true);
  measured.details["prompt"] = workload.prompt;
  measured.details["text"] = text;
  return measured;
}

}  // namespace attnlab::experiment
