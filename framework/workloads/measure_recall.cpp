// Recall: the pairs of an example are the prompt (or as many tokens as `prefill` says), everything after it is fed
// token by token through the arm's own cache. What the model predicts at a key is compared with the key's value; the
// value itself is never fed there.
#include <fmt/format.h>

#include <attnlab/error.h>

#include "assembly/feeding.h"
#include "model/sampling.h"
#include "workloads/recall.h"

namespace attnlab::experiment {
namespace {

struct Tally {
  int queries = 0;
  int answered = 0;
  int predicted = 0;  // to be answered
  int unlike = 0;     // answered although not predicted, or the other way round
  CacheUse cache;
  std::vector<int> queries_of, right_of;  // by example
  Measured seen;                          // what was wrong with logits
};

// Feeds one example and holds the answers that are scored against its values: those after the prompt, or all of them
// where the whole example is the prompt.
class Asking {
 public:
  Asking(model::Decoder& decoder, const tasks::RecallExample& example,
         const std::optional<RecallPrediction>& prediction, Tally& tally)
      : decoder_(decoder), example_(example), prediction_(prediction), tally_(tally) {}

  void run(const RecallWorkload& workload) {
    const std::span<const model::TokenId> tokens = example_.tokens;
    const int answered_before = tally_.answered, queries_before = tally_.queries;
    model::Session session = decoder_.make_session(1, static_cast<int>(tokens.size()));
    feed_prompt(decoder_, session, 0, tokens.first(workload.prompt()), kPrefillChunk,
                [&](int first, TensorView<const float, 2> hidden) {
                  if (workload.is_whole()) look_at(first, hidden);
                });
    tally_.cache.count_step(session);
    for (int position = workload.prompt(); position < static_cast<int>(tokens.size()); ++position) {
      const model::SequenceTokens fed{.sequence = 0, .tokens = tokens.subspan(position, 1), .phase = Phase::decode};
      const auto hidden = decoder_.forward(session, {&fed, 1});
      tally_.cache.count_step(session);
      look_at(position, hidden);
    }
    tally_.cache.count_end(session);
    tally_.queries_of.push_back(tally_.queries - queries_before);
    tally_.right_of.push_back(tally_.answered - answered_before);
  }

 private:
  // hidden [tokens, hidden_dim] of the tokens from position `first` on.
  void look_at(int first, TensorView<const float, 2> hidden) {
    const auto end = static_cast<int>(first + hidden.extent(0));
    for (const tasks::RecallQuery& query : example_.queries)
      if (query.position >= first && query.position < end) count(query, hidden.slice(query.position - first, 1));
  }

  void count(const tasks::RecallQuery& query, TensorView<const float, 2> hidden) {
    std::vector<float> logits(decoder_.config().vocab_size);
    decoder_.logits(hidden, {logits.data(), {1, decoder_.config().vocab_size}});
    tally_.seen.look_at(logits);
    const bool answered = model::argmax(logits) == query.value;
    const bool predicted = prediction_ && prediction_->answers(query);
    ++tally_.queries;
    tally_.answered += answered ? 1 : 0;
    tally_.predicted += predicted ? 1 : 0;
    tally_.unlike += answered != predicted ? 1 : 0;
  }

  model::Decoder& decoder_;
  const tasks::RecallExample& example_;
  const std::optional<RecallPrediction>& prediction_;
  Tally& tally_;
};

}  // namespace

Measured measure_recall(model::Decoder& decoder, const RecallWorkload& workload, std::uint64_t seed,
                        const std::optional<RecallPrediction>& prediction,
                        const std::optional<Compression>& compression) {
  Tally tally;
  for (int number = 0; number < workload.examples; ++number) {
    const tasks::RecallExample example = tasks::recall_example(workload.shape, workload.seed_or(seed), number);
    Asking(decoder, example, prediction, tally).run(workload);
  }
  if (tally.queries == 0)
    throw Error(workload.where, fmt::format("recall: no query comes after the prompt of {} tokens", workload.prompt()),
                fmt::format("most queries come soon after the pairs; use a prefill near {}", workload.shape.prompt()));
  const double queries = tally.queries;
  Measured measured;
  measured.has_nonfinite_logits = tally.seen.has_nonfinite_logits;
  measured.add("recall_accuracy", "share", "higher", tally.answered / queries, true);
  if (prediction) measured.add("recall_predicted", "share", "none", tally.predicted / queries, true);
  measured.add_scored(tally.queries, workload.is_whole() ? 0 : tally.queries, tally.cache, compression);
  measured.add_cache(tally.cache);
  measured.details["queries"] = tally.queries;
  measured.details["answered"] = tally.answered;
  measured.details["examples"] = {{"queries", tally.queries_of}, {"right", tally.right_of}};
  if (!prediction) return measured;
  measured.details["predicted"] = tally.predicted;
  measured.details["unlike_prediction"] = tally.unlike;
  if (tally.unlike > 0)
    measured.details["notes"].push_back(
        fmt::format("{} of {} queries are not as predicted", tally.unlike, tally.queries));
  return measured;
}

}  // namespace attnlab::experiment
