// Speed: time of a prefill, or of decode steps over caches that were filled beforehand. The forward pass is the one
// that perplexity and generate run.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <numeric>

#include "assembly/feeding.h"
#include "model/sampling.h"
#include "parallel/parallel.h"
#include "steps/counting_steps.h"
#include "workloads/latency.h"
#include "workloads/speed.h"
#include "workloads/turns.h"

namespace attnlab::experiment {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLeastSeconds = 0.15;  // what is shorter is repeated within the trial
constexpr double kCountedOnly = 4;      // times as long: what counts is as good an estimate

// The seconds of each slice, where the arms of a round took turns: what pairs of arms are compared by.
void add_slices(Measured& measured, std::string_view of, const PassTimer& timer) {
  if (!timer.slices().empty()) measured.details["slices"][std::string(of)] = timer.slices();
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

// Times what a case does over and over: once for what it executes, which is counted and warms it up, then in earnest.
class Repeated {
 public:
  Repeated(model::Decoder& decoder, Turns* turns) : decoder_(decoder), timer_(decoder, turns) {}

  /// `prepare` is not timed; `work(timer)` starts and stops the timer, and is called repeats() times in earnest.
  template <class Prepare, class Work>
  void run(const Prepare& prepare, const Work& work) {
    CountingSteps counting = counting_steps(decoder_);
    prepare();
    {
      const model::WithSteps with(decoder_, counting);
      work(timer_);
    }
    counts_ = counting.counts();
    const Clock::time_point start = Clock::now();
    prepare();
    const double untimed = std::chrono::duration<double>(Clock::now() - start).count();
    if (timer_.seconds() < kCountedOnly * kLeastSeconds) {  // counting may be what took the time
      timer_.rehearse();
      work(timer_);
      prepare();
    }
    timer_.begin(kLeastSeconds, untimed);
    for (int run = 0; run < timer_.repeats(); ++run) {
      if (run > 0) prepare();
      const AttendTime before = decoder_.attend_time();
      work(timer_);
      const AttendTime of_run = since(before, decoder_);
      attention_.seconds += of_run.seconds;
      attention_.mass_thread_seconds += of_run.mass_thread_seconds;
    }
  }

  [[nodiscard]] int repeats() const noexcept { return timer_.repeats(); }
  /// Of one time.
  [[nodiscard]] const StepCounts& counts() const noexcept { return counts_; }
  /// Of all times.
  [[nodiscard]] const AttendTime& attention() const noexcept { return attention_; }
  [[nodiscard]] const PassTimer& timer() const noexcept { return timer_; }

 private:
  model::Decoder& decoder_;
  PassTimer timer_;
  StepCounts counts_;
  AttendTime attention_;
};

// capacities [sequences]: tokens that each may reach, with what is not measured here.
Measured measure_prefill(model::Decoder& decoder, const Batch& batch, std::span<const int> capacities,
                         std::uint64_t seed, Turns* turns) {
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
  Repeated repeated(decoder, turns);
  repeated.run(
      [&] {
        session.clear();
        fill_for_steps(decoder, session, before, seed);
      },
      [&](PassTimer& timer) {
        timer.start();
        feed_batch(decoder, session, added, tokens, answer);
        static_cast<void>(timer.stop());
      });
  const double seconds = repeated.timer().seconds_once();
  Measured measured;
  measured.look_at(logits);
  add_attention(measured, session, repeated.attention(), repeated.repeats());
  measured.add(std::string(report::kPrefill), "tokens/s", "higher", new_tokens(batch) / seconds);
  measured.add(std::string(report::kTimeToFirstToken), "s", "lower", seconds);
  add_memory(measured, decoder, session);
  measured.add(std::string(report::kOperationsPerSecond), "FLOP/s", "higher", repeated.counts().operations() / seconds);
  add_slices(measured, report::kPrefill, repeated.timer());
  return measured;
}

// `counts`: what was executed in so many steps, which take `seconds`; `latencies`: of these and others like them.
void add_decode(Measured& measured, const StepCounts& counts, int steps, double seconds, int sequences,
                const std::vector<double>& latencies) {
  measured.add(std::string(report::kDecode), "tokens/s", "higher", sequences * static_cast<double>(steps) / seconds);
  measured.add("token_latency_p50_s", "s", "lower", latency_quantile(latencies, 0.50));
  measured.add("token_latency_p95_s", "s", "lower", latency_quantile(latencies, 0.95));
  measured.add("token_latency_p99_s", "s", "lower", latency_quantile(latencies, 0.99));
  measured.details["token_latencies_s"] = thinned(latencies);
  const double bytes = counts.bytes() / steps;
  measured.add(std::string(report::kBytesPerSecond), "bytes/s", "higher", counts.bytes() / seconds);
  measured.details["bytes_per_step"] = bytes;
  measured.details["operations_per_step"] = counts.operations() / steps;
}

// Steps of one token for every sequence. `prepare` makes the sequences what they are before the first step, and
// `next(step)` gives the tokens of a step, by the logits of the one before.
template <class Prepare, class Next>
Measured measure_steps(model::Decoder& decoder, model::Session& session, int steps, Turns* turns,
                       const Prepare& prepare, const Next& next) {
  const int sequences = session.sequences(), vocab = decoder.config().vocab_size;
  std::vector<float> logits(static_cast<std::size_t>(sequences) * vocab);
  std::vector<double> latencies;
  Repeated repeated(decoder, turns);
  repeated.run(prepare, [&](PassTimer& timer) {
    for (int step = 0; step < steps; ++step) {
      const std::span<const model::TokenId> tokens = next(step, std::span<const float>(logits));
      timer.start();
      const auto hidden = feed_step(decoder, session, tokens);
      decoder.logits(hidden, {logits.data(), {hidden.extent(0), vocab}});
      latencies.push_back(timer.stop());
    }
  });
  latencies.erase(latencies.begin(), latencies.end() - std::ptrdiff_t{repeated.repeats()} * steps);
  Measured measured;
  measured.look_at(logits);
  add_decode(measured, repeated.counts(), steps, repeated.timer().seconds_once(), sequences, latencies);
  add_attention(measured, session, repeated.attention(), std::ptrdiff_t{repeated.repeats()} * steps);
  add_memory(measured, decoder, session);
  add_slices(measured, report::kDecode, repeated.timer());
  return measured;
}

// The last step has the rows that the case names.
Measured measure_decode(model::Decoder& decoder, const Batch& batch, std::uint64_t seed, Turns* turns) {
  const std::vector<int> lengths = totals(batch);
  const int steps = decode_steps(batch);
  model::Session session = decoder.make_session(lengths);
  const std::vector<model::TokenId> tokens = spread_tokens(steps, decoder.config().vocab_size, seed);
  std::vector<int> before = lengths;
  for (int& length : before) length -= steps;
  std::vector<model::TokenId> next(lengths.size());
  return measure_steps(
      decoder, session, steps, turns,
      [&] {
        session.clear();
        fill_for_steps(decoder, session, before, seed);
      },
      [&](int step, std::span<const float>) {
        std::ranges::fill(next, tokens[step]);
        return std::span<const model::TokenId>(next);
      });
}

Measured measure_shape(model::Decoder& decoder, const PromptShape& shape, std::uint64_t seed, Turns* turns) {
  const std::vector<int> capacities(shape.sequences, shape.prompt + shape.generate);
  const Batch prompt{{.count = shape.sequences, .new_tokens = shape.prompt, .total = shape.prompt}};
  Measured measured = measure_prefill(decoder, prompt, capacities, seed, turns);
  std::erase_if(measured.samples, [](const report::Sample& sample) {
    return sample.is_deterministic || sample.metric.starts_with("attention_");
  });
  // As many steps as the case names: the rows grow from the prompt's to the last token's.
  model::Session session = decoder.make_session(capacities);
  const auto vocab = static_cast<std::size_t>(decoder.config().vocab_size);
  std::vector<model::TokenId> next(shape.sequences);
  Measured decoded = measure_steps(
      decoder, session, shape.generate, turns,
      [&] {
        session.clear();
        fill_for_steps(decoder, session, std::vector<int>(shape.sequences, shape.prompt), seed);
      },
      [&](int step, std::span<const float> logits) {
        for (std::size_t sequence = 0; sequence < next.size(); ++sequence)
          next[sequence] = step == 0 ? static_cast<model::TokenId>(1 % vocab)
                                     : model::argmax(logits.subspan(sequence * vocab, vocab));
        return std::span<const model::TokenId>(next);
      });
  std::ranges::move(decoded.samples, std::back_inserter(measured.samples));
  measured.details.update(decoded.details, true);
  measured.has_nonfinite_logits = measured.has_nonfinite_logits || decoded.has_nonfinite_logits;
  return measured;
}

}  // namespace

Measured measure_speed(model::Decoder& decoder, const SpeedCase& speed_case, std::uint64_t seed, Turns* turns) {
  if (const auto* shape = std::get_if<PromptShape>(&speed_case)) return measure_shape(decoder, *shape, seed, turns);
  const Batch& batch = std::get<Batch>(speed_case);
  return is_decode(batch) ? measure_decode(decoder, batch, seed, turns)
                          : measure_prefill(decoder, batch, totals(batch), seed, turns);
}

}  // namespace attnlab::experiment
