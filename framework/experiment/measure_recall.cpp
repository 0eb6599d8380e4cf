// Recall: the pairs of an example are the prompt, everything behind them is fed token by token through the arm's own
// cache. What the model predicts at a key is held against the key's value; the value itself is never fed there.
#include <fmt/format.h>

#include "experiment/feeding.h"
#include "experiment/measures.h"
#include "model/sampling.h"

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

void run_example(model::Decoder& decoder, const RecallExample& example, int prompt,
                 const std::optional<RecallPrediction>& prediction, Tally& tally) {
  const std::span<const model::TokenId> tokens = example.tokens;
  model::Session session = decoder.make_session(1, static_cast<int>(tokens.size()));
  std::vector<float> logits(decoder.config().vocab_size);
  feed_prompt(decoder, session, 0, tokens.first(prompt), kPrefillChunk);
  tally.cache.count_step(session);
  auto query = example.queries.begin();
  const int answered_before = tally.answered;
  for (int position = prompt; position < static_cast<int>(tokens.size()); ++position) {
    const model::SequenceTokens fed{.sequence = 0, .tokens = tokens.subspan(position, 1), .phase = Phase::decode};
    const auto hidden = decoder.forward(session, {&fed, 1});
    tally.cache.count_step(session);
    if (query == example.queries.end() || query->position != position) continue;
    decoder.logits(hidden, {logits.data(), {1, decoder.config().vocab_size}});
    tally.seen.look_at(logits);
    const bool answered = model::argmax(logits) == query->value;
    const bool predicted = prediction && prediction->answers(*query);
    ++tally.queries;
    tally.answered += answered ? 1 : 0;
    tally.predicted += predicted ? 1 : 0;
    tally.unlike += answered != predicted ? 1 : 0;
    ++query;
  }
  tally.cache.count_end(session);
  tally.queries_of.push_back(static_cast<int>(example.queries.size()));
  tally.right_of.push_back(tally.answered - answered_before);
}

}  // namespace

Measured measure_recall(model::Decoder& decoder, const RecallWorkload& workload, std::uint64_t seed,
                        const std::optional<RecallPrediction>& prediction) {
  Tally tally;
  for (int number = 0; number < workload.examples; ++number)
    run_example(decoder, recall_example(workload.shape, workload.seed_or(seed), number), workload.shape.prompt(),
                prediction, tally);
  const double queries = tally.queries;
  Measured measured;
  measured.has_nonfinite_logits = tally.seen.has_nonfinite_logits;
  measured.add("recall_accuracy", "share", "higher", tally.answered / queries, true);
  if (prediction) measured.add("recall_predicted", "share", "none", tally.predicted / queries, true);
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
