// Generation: the time from the prompt to the last token, as a user sees it, and the text itself.
#include <chrono>
#include <numeric>

#include "assembly/feeding.h"
#include "assembly/prompt.h"
#include "model/sampling.h"
#include "workloads/generate.h"
#include "workloads/latency.h"

namespace attnlab::experiment {

using model::TokenId;

Measured measure_generate(model::Decoder& decoder, const model::Tokenizer& tokenizer, const GenerateWorkload& workload,
                          std::uint64_t seed, const std::optional<Compression>& compression) {
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
  measured.look_at(logits);
  measured.add(std::string(report::kTimeToFirstToken), "s", "lower", first_token);
  if (!latencies.empty()) {
    const double total = std::accumulate(latencies.begin(), latencies.end(), 0.0);
    measured.add("decode_tokens_per_second", "tokens/s", "higher", static_cast<double>(latencies.size()) / total);
    measured.add("token_latency_p50_s", "s", "lower", latency_quantile(latencies, 0.50));
    measured.add("token_latency_p95_s", "s", "lower", latency_quantile(latencies, 0.95));
    measured.add("token_latency_p99_s", "s", "lower", latency_quantile(latencies, 0.99));
    measured.details["token_latencies_s"] = thinned(latencies);
  }
  measured.add("kv_bytes_allocated", "bytes", "lower", static_cast<double>(session.kv_bytes()), true);
  measured.add("kv_bytes_nominal", "bytes", "lower", static_cast<double>(session.kv_bytes_nominal()), true);
  if (compression && workload.tokens == 1) measured.details["notes"].push_back(compression->unread());
  measured.details["prompt"] = workload.prompt;
  measured.details["text"] = text;
  return measured;
}

}  // namespace attnlab::experiment
