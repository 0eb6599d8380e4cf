// Scores of choices: the prompt is fed once, a question once after it, and every choice from the state that they left,
// token by token through the arm's own cache. A cache that does not say what its state is makes its way there anew.
#include <cmath>
#include <new>
#include <optional>

#include <attnlab/error.h>
#include <attnlab/state.h>

#include "assembly/feeding.h"
#include "ops/vector_kernels.h"
#include "workloads/continuation.h"

namespace attnlab::experiment {
namespace {

using model::TokenId;

class Scoring {
 public:
  Scoring(model::Decoder& decoder, int longest, Measured& measured)
      : decoder_(decoder),
        session_(decoder.make_session(1, longest)),
        measured_(measured),
        logits_(decoder.config().vocab_size) {}

  /// Right choices of a text, by what is added to its list of questions.
  void run(const TokenText& text, Query query) {
    int right = 0, right_by_sum = 0;
    if (query == Query::after) begin(text.prompt);
    const bool comes_back = query == Query::after && text.questions.size() > 1;
    const Place after_prompt = comes_back ? here() : Place();
    for (std::size_t number = 0; number < text.questions.size(); ++number) {
      const TokenQuestion& question = text.questions[number];
      if (query == Query::before) {
        std::vector<TokenId> prompt = text.prompt;
        prompt.insert(prompt.end(), question.question.begin(), question.question.end());
        begin(prompt);
      } else {
        if (number > 0) return_to(after_prompt);
        for (const TokenId token : question.question) step(token);
      }
      const Place after_question = here();
      std::vector<double> sums, by_byte;
      for (std::size_t choice = 0; choice < question.choices.size(); ++choice) {
        if (choice > 0) return_to(after_question);
        sums.push_back(score(question.choices[choice]));
        cache_.count_end(session_);
        by_byte.push_back(sums.back() / question.choices[choice].bytes);
      }
      right += is_highest(by_byte, question.answer) ? 1 : 0;
      right_by_sum += is_highest(sums, question.answer) ? 1 : 0;
    }
    questions_of_.push_back(static_cast<std::int64_t>(text.questions.size()));
    right_of_.push_back(right);
    right_by_sum_of_.push_back(right_by_sum);
  }

  void finish(const std::optional<Compression>& compression) {
    const auto sum = [](const std::vector<std::int64_t>& counts) {
      double all = 0;
      for (const std::int64_t count : counts) all += static_cast<double>(count);
      return all;
    };
    const double questions = sum(questions_of_);
    measured_.add(std::string(report::kAnswerAccuracy), "share", "higher", sum(right_of_) / questions, true);
    measured_.add(std::string(report::kAnswerAccuracyBySum), "share", "higher", sum(right_by_sum_of_) / questions,
                  true);
    measured_.add_scored(scored_, read_, cache_, compression);
    measured_.add_cache(cache_);
    measured_.details["queries"] = questions;
    measured_.details["answered"] = sum(right_of_);
    measured_.details["examples"] = {
        {"queries", questions_of_}, {"right", right_of_}, {"right_by_sum", right_by_sum_of_}};
  }

 private:
  // Where a choice begins: how the session came here, and its state where it can be kept.
  struct Place {
    std::vector<TokenId> prompt, steps;
    std::vector<float> logits;
    std::optional<StateWriter> state;
  };

  void begin(std::span<const TokenId> prompt) {
    session_.clear();
    fed_.prompt.assign(prompt.begin(), prompt.end());
    fed_.steps.clear();
    const auto length = std::ssize(fed_.prompt);
    feed_prompt(decoder_, session_, 0, prompt, kPrefillChunk, [&](int first, TensorView<const float, 2> hidden) {
      if (first + hidden.extent(0) == length) look_at(hidden.slice(hidden.extent(0) - 1, 1));
    });
    cache_.count_step(session_);
  }
  void step(TokenId token) {
    fed_.steps.push_back(token);
    const model::SequenceTokens fed{.sequence = 0, .tokens = {&token, 1}, .phase = Phase::decode};
    look_at(decoder_.forward(session_, {&fed, 1}));
    cache_.count_step(session_);
  }
  void look_at(TensorView<const float, 2> hidden) {
    decoder_.logits(hidden, {logits_.data(), {1, std::ssize(logits_)}});
    measured_.look_at(logits_);
  }

  [[nodiscard]] Place here() const {
    Place place = fed_;
    place.logits = logits_;
    try {
      session_.save(0, place.state.emplace());
      return place;
    } catch (const Error&) {
    } catch (const std::bad_alloc&) {
    }
    place.state.reset();
    return place;
  }
  void return_to(const Place& place) {
    if (!place.state) {
      const std::vector<TokenId> steps = place.steps;
      begin(place.prompt);
      for (const TokenId token : steps) step(token);
      return;
    }
    StateReader reader(place.state->bytes());
    session_.restore(0, reader);
    fed_.prompt = place.prompt;
    fed_.steps = place.steps;
    logits_ = place.logits;
  }

  // The sum of the logarithms of the tokens' probabilities.
  double score(const TokenQuestion::Choice& choice) {
    double sum = 0;
    for (std::size_t i = 0; i < choice.tokens.size(); ++i) {
      sum += static_cast<double>(logits_[choice.tokens[i]]) - vec::log_sum_exp(logits_);
      ++scored_;
      read_ += fed_.steps.empty() ? 0 : 1;
      if (i + 1 < choice.tokens.size()) step(choice.tokens[i]);
    }
    return sum;
  }

  // Alone: what is as high as another is not chosen.
  static bool is_highest(const std::vector<double>& scores, int which) {
    for (int other = 0; other < static_cast<int>(scores.size()); ++other)
      if (other != which && !(scores[which] > scores[other])) return false;
    return true;
  }

  model::Decoder& decoder_;
  model::Session session_;
  Measured& measured_;
  Place fed_;  // without logits and state
  std::vector<float> logits_;
  CacheUse cache_;
  std::int64_t scored_ = 0, read_ = 0;                                   // tokens of choices
  std::vector<std::int64_t> questions_of_, right_of_, right_by_sum_of_;  // [texts]
};

}  // namespace

Measured measure_continuation(model::Decoder& decoder, const std::vector<TokenText>& texts, Query query,
                              const std::optional<Compression>& compression) {
  int longest = 0;
  for (const TokenText& text : texts) longest = std::max(longest, text.longest());
  Measured measured;
  Scoring scoring(decoder, longest, measured);
  for (const TokenText& text : texts) scoring.run(text, query);
  scoring.finish(compression);
  return measured;
}

}  // namespace attnlab::experiment
