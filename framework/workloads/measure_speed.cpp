// Speed: time of a prefill, or of decode steps over caches that were filled beforehand. The forward pass is the one
// that perplexity and generate run.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "assembly/feeding.h"
#include "model/sampling.h"
#include "parallel/parallel.h"
#include "steps/counting_steps.h"
#include "workloads/latency.h"
#include "workloads/speed.h"

namespace attnlab::experiment {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLeastSeconds = 0.15;  // a prefill that is shorter is repeated within the trial
constexpr int kMostRepeats = 200;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void add_memory(Measured& measured, const model::Decoder& decoder, const model::Session& session) {
  measured.add("kv_bytes_allocated", "bytes", "lower", static_cast<double>(session.kv_bytes()), true);
  measured.add("kv_bytes_nominal", "bytes", "lower", static_cast<double>(session.kv_bytes_nominal()), true);
  measured.add("weight_bytes", "bytes", "lower", static_cast<double>(decoder.weight_bytes()), true);
}

// Steps that count, in the decoder's own memory: what they execute is also what warms it up.
CountingSteps counting_steps(model::Decoder& decoder) {
  return {decoder.scratch(), [&decoder](int layer) { return decoder.row_bytes(layer); }};
}

AttendTime since(const AttendTime& before, const model::Decoder& decoder) {
  const AttendTime now = decoder.attend_time();
  return {now.seconds - before.seconds, now.mass_thread_seconds - before.mass_thread_seconds};
}

// Seconds in the attention core, and of them for attention mass, of one of `parts` equal pieces of work.
void add_attention(Measured& measured, model::Session& session, const AttendTime& spent, double parts) {
  measured.add("attention_core_s", "s", "lower", spent.seconds / parts);
  for (int layer = 0; layer < session.layers(); ++layer)
    if (session.cache(layer).mass_sink() != nullptr)
      return measured.add("attention_mass_s", "s", "lower", spent.mass_thread_seconds / threads() / parts);
}

// capacities [sequences]: tokens that each may reach, with what is not measured here.
Measured measure_prefill(model::Decoder& decoder, const Batch& batch, std::span<const int> capacities,
                         std::uint64_t seed) {
  std::vector<int> before, added;
  for (const BatchPart& part : batch) {
    before.insert(before.end(), part.count, part.total - part.new_tokens);
    added.insert(added.end(), part.count, part.new_tokens);
  }
  model::Session session = decoder.make_session(capacities);
  const int vocab = decoder.config().vocab_size;
  const std::vector<model::TokenId> tokens = spread_tokens(*std::ranges::max_element(added), vocab, seed);
  std::vector<float> logits(vocab);
  const auto answer = [&](TensorView<const float, 2> hidden, std::span<const std::int64_t> last_rows) {
    for (const std::int64_t last : last_rows) decoder.logits(hidden.slice(last, 1), {logits.data(), {1, vocab}});
  };
  // The caches get their memory first, as a serving engine has it: a page's first use costs more than what is written
  // to it, and would be measured here.
  fill_caches(decoder, session, totals(batch), seed);
  double spent = 0;
  int repeats = 0;
  session.clear();
  fill_for_steps(decoder, session, before, seed);
  CountingSteps counting = counting_steps(decoder);
  {
    const model::WithSteps with(decoder, counting);
    feed_batch(decoder, session, added, tokens, answer);
  }
  AttendTime attention;
  for (int run = 0; run < kMostRepeats && (run < 1 || spent < kLeastSeconds); ++run) {
    session.clear();
    fill_for_steps(decoder, session, before, seed);
    const AttendTime filled = decoder.attend_time();
    const Clock::time_point start = Clock::now();
    feed_batch(decoder, session, added, tokens, answer);
    spent += seconds_since(start);
    const AttendTime of_run = since(filled, decoder);
    attention.seconds += of_run.seconds;
    attention.mass_thread_seconds += of_run.mass_thread_seconds;
    ++repeats;
  }
  const double seconds = spent / repeats;
  Measured measured;
  measured.look_at(logits);
  add_attention(measured, session, attention, repeats);
  measured.add("prefill_tokens_per_second", "tokens/s", "higher", new_tokens(batch) / seconds);
  measured.add("time_to_first_token_s", "s", "lower", seconds);
  add_memory(measured, decoder, session);
  measured.add(std::string(report::kOperationsPerSecond), "FLOP/s", "higher", counting.counts().operations() / seconds);
  return measured;
}

// `counts`: what was executed in so many steps like these.
void add_decode(Measured& measured, const StepCounts& counts, double counted_steps, const model::Session& session,
                const std::vector<double>& steps) {
  const double total = std::accumulate(steps.begin(), steps.end(), 0.0);
  measured.add("decode_tokens_per_second", "tokens/s", "higher",
               session.sequences() * static_cast<double>(steps.size()) / total);
  measured.add("token_latency_p50_s", "s", "lower", latency_quantile(steps, 0.50));
  measured.add("token_latency_p95_s", "s", "lower", latency_quantile(steps, 0.95));
  measured.add("token_latency_p99_s", "s", "lower", latency_quantile(steps, 0.99));
  measured.details["token_latencies_s"] = thinned(steps);
  const double bytes = counts.bytes() / counted_steps;
  measured.add(std::string(report::kBytesPerSecond), "bytes/s", "higher",
               bytes * static_cast<double>(steps.size()) / total);
  measured.details["bytes_per_step"] = bytes;
  measured.details["operations_per_step"] = counts.operations() / counted_steps;
}

// Steps of one token for every sequence; the last step has the rows that the case names.
Measured measure_decode(model::Decoder& decoder, const Batch& batch, std::uint64_t seed) {
  const std::vector<int> lengths = totals(batch);
  const int steps = decode_steps(batch);
  model::Session session = decoder.make_session(lengths);
  const int vocab = decoder.config().vocab_size;
  const std::vector<model::TokenId> tokens = spread_tokens(steps, vocab, seed);
  std::vector<float> logits(static_cast<std::size_t>(lengths.size()) * vocab);
  std::vector<double> latencies;
  AttendTime attention;
  CountingSteps counting = counting_steps(decoder);
  for (const bool counts : {true, false}) {  // counted, then timed
    session.clear();
    std::vector<int> before = lengths;
    for (int& length : before) length -= steps;
    fill_for_steps(decoder, session, before, seed);
    std::optional<model::WithSteps> with;
    if (counts) with.emplace(decoder, counting);
    latencies.clear();
    attention = decoder.attend_time();
    for (int step = 0; step < steps; ++step) {
      const std::vector<model::TokenId> next(lengths.size(), tokens[step]);
      const Clock::time_point start = Clock::now();
      const auto hidden = feed_step(decoder, session, next);
      decoder.logits(hidden, {logits.data(), {hidden.extent(0), vocab}});
      latencies.push_back(seconds_since(start));
    }
  }
  Measured measured;
  measured.look_at(logits);
  add_decode(measured, counting.counts(), steps, session, latencies);
  add_attention(measured, session, since(attention, decoder), steps);
  add_memory(measured, decoder, session);
  return measured;
}

Measured measure_shape(model::Decoder& decoder, const PromptShape& shape, std::uint64_t seed) {
  const std::vector<int> capacities(shape.sequences, shape.prompt + shape.generate);
  const Batch prompt{{.count = shape.sequences, .new_tokens = shape.prompt, .total = shape.prompt}};
  Measured measured = measure_prefill(decoder, prompt, capacities, seed);
  std::erase_if(measured.samples, [](const report::Sample& sample) { return sample.is_deterministic; });
  // As many steps as the case names: the rows grow from the prompt's to the last token's.
  model::Session session = decoder.make_session(capacities);
  const int vocab = decoder.config().vocab_size;
  std::vector<float> logits(static_cast<std::size_t>(shape.sequences) * vocab);
  std::vector<double> latencies;
  AttendTime attention;
  CountingSteps counting = counting_steps(decoder);
  for (const bool counts : {true, false}) {  // counted, then timed: what a policy leaves differs from step to step
    session.clear();
    fill_for_steps(decoder, session, std::vector<int>(shape.sequences, shape.prompt), seed);
    std::optional<model::WithSteps> with;
    if (counts) with.emplace(decoder, counting);
    std::vector<model::TokenId> next(shape.sequences, 1 % vocab);
    latencies.clear();
    attention = decoder.attend_time();
    for (int step = 0; step < shape.generate; ++step) {
      const Clock::time_point start = Clock::now();
      const auto hidden = feed_step(decoder, session, next);
      decoder.logits(hidden, {logits.data(), {shape.sequences, vocab}});
      latencies.push_back(seconds_since(start));
      for (int sequence = 0; sequence < shape.sequences; ++sequence)
        next[sequence] =
            model::argmax(std::span<const float>(logits).subspan(static_cast<std::size_t>(sequence) * vocab, vocab));
    }
  }
  measured.look_at(logits);
  std::erase_if(measured.samples, [](const report::Sample& sample) { return sample.metric.starts_with("attention_"); });
  add_decode(measured, counting.counts(), shape.generate, session, latencies);
  add_attention(measured, session, since(attention, decoder), shape.generate);
  add_memory(measured, decoder, session);
  return measured;
}

}  // namespace

Measured measure_speed(model::Decoder& decoder, const SpeedCase& speed_case, std::uint64_t seed) {
  if (const auto* shape = std::get_if<PromptShape>(&speed_case)) return measure_shape(decoder, *shape, seed);
  const Batch& batch = std::get<Batch>(speed_case);
  return is_decode(batch) ? measure_decode(decoder, batch, seed) : measure_prefill(decoder, batch, totals(batch), seed);
}

}  // namespace attnlab::experiment
