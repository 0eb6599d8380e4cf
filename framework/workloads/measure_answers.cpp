// Answers: the prompt of an example is fed at once, all that follows token by token through the arm's own cache, with
// the right tokens of an answer fed whatever the model predicts.
#include <algorithm>
#include <span>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "assembly/feeding.h"
#include "model/sampling.h"
#include "workloads/answers.h"

namespace attnlab::experiment {
namespace {

struct Tally {
  std::int64_t tokens = 0, right = 0;                    // asked for, and predicted
  std::int64_t read = 0;                                 // asked for of what was fed after the prompt
  std::vector<std::int64_t> queries_of, right_of;        // answers, by example
  std::vector<std::int64_t> tokens_of, right_tokens_of;  // the same of tokens
  CacheUse cache;
  Measured seen;  // what was wrong with logits
};

class Asking {
 public:
  Asking(model::Decoder& decoder, const tasks::Example& example, Tally& tally)
      : decoder_(decoder), example_(example), tally_(tally), logits_(decoder.config().vocab_size) {}

  void run(std::int64_t prompt) {
    const std::span<const model::TokenId> tokens = example_.input;
    model::Session session = decoder_.make_session(1, static_cast<int>(tokens.size()));
    feed_prompt(decoder_, session, 0, tokens.first(static_cast<std::size_t>(prompt)), kPrefillChunk,
                [&](int first, TensorView<const float, 2> hidden) {
                  if (first + hidden.extent(0) == prompt) look_at(prompt - 1, hidden.slice(hidden.extent(0) - 1, 1));
                });
    tally_.cache.count_step(session);
    for (std::int64_t position = prompt; position < std::ssize(tokens); ++position) {
      const model::SequenceTokens fed{
          .sequence = 0, .tokens = tokens.subspan(static_cast<std::size_t>(position), 1), .phase = Phase::decode};
      const auto hidden = decoder_.forward(session, {&fed, 1});
      tally_.cache.count_step(session);
      tally_.read += example_.targets[position] != tasks::kNoTarget ? 1 : 0;
      look_at(position, hidden);
    }
    tally_.cache.count_end(session);
    end_answer();
    tally_.queries_of.push_back(queries_);
    tally_.right_of.push_back(right_);
    tally_.tokens_of.push_back(tokens_);
    tally_.right_tokens_of.push_back(right_tokens_);
  }

 private:
  // hidden [1, hidden_dim] of the token at `position`; positions ascend.
  void look_at(std::int64_t position, TensorView<const float, 2> hidden) {
    const model::TokenId target = example_.targets[position];
    if (target == tasks::kNoTarget) return end_answer();
    if (std::ranges::find(example_.next_answers, position) != example_.next_answers.end()) end_answer();
    decoder_.logits(hidden, {logits_.data(), {1, std::ssize(logits_)}});
    tally_.seen.look_at(logits_);
    const bool is_right = model::argmax(logits_) == target;
    ++tokens_;
    right_tokens_ += is_right ? 1 : 0;
    is_whole_ = is_whole_ && is_right;
    is_in_answer_ = true;
  }

  void end_answer() {
    if (is_in_answer_) {
      ++queries_;
      right_ += is_whole_ ? 1 : 0;
    }
    is_in_answer_ = false;
    is_whole_ = true;
  }

  model::Decoder& decoder_;
  const tasks::Example& example_;
  Tally& tally_;
  std::vector<float> logits_;
  std::int64_t queries_ = 0, right_ = 0, tokens_ = 0, right_tokens_ = 0;
  bool is_in_answer_ = false, is_whole_ = true;
};

}  // namespace

Measured measure_answers(model::Decoder& decoder, const AnswersWorkload& workload, const tasks::Task& task,
                         std::uint64_t seed, const std::optional<Compression>& compression) {
  Tally tally;
  std::int64_t queries = 0, answered = 0;
  for (int number = 0; number < workload.examples; ++number) {
    const tasks::Example example = workload.example(task, seed, number);
    Asking(decoder, example, tally).run(workload.prompt(example));
    queries += tally.queries_of.back();
    answered += tally.right_of.back();
    tally.tokens += tally.tokens_of.back();
    tally.right += tally.right_tokens_of.back();
  }
  if (queries == 0) throw Error(workload.where, "answers: no example asks for anything", "give more examples");
  Measured measured;
  measured.has_nonfinite_logits = tally.seen.has_nonfinite_logits;
  measured.add("answer_accuracy", "share", "higher", static_cast<double>(answered) / static_cast<double>(queries),
               true);
  measured.add("token_accuracy", "share", "higher",
               static_cast<double>(tally.right) / static_cast<double>(tally.tokens), true);
  measured.add_scored(tally.tokens, tally.read, tally.cache, compression);
  measured.add_cache(tally.cache);
  measured.details["queries"] = queries;
  measured.details["answered"] = answered;
  measured.details["examples"] = {{"queries", tally.queries_of}, {"right", tally.right_of}};
  measured.details["asked"] = {{"tokens", tally.tokens_of}, {"right", tally.right_tokens_of}};
  return measured;
}

}  // namespace attnlab::experiment
