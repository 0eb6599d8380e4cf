// attnlab generate: prompt and continuation as text, token by token as they come.
#include <fmt/format.h>

#include <algorithm>

#include "assembly/compression.h"
#include "assembly/feeding.h"
#include "assembly/prompt.h"
#include "cli/command.h"
#include "model/sampling.h"

namespace attnlab::cli {
namespace {

struct GenerateOptions {
  std::filesystem::path model;
  std::string prompt;
  int tokens = 64;
  bool stop_at_eos = false;
  model::SamplingOptions sampling;
  ModelOptions model_options;
};

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// From which token on the text is that of the smaller cache.
std::string reading_words(const experiment::Compression& compression, int prompt, int written) {
  if (compression.is_in_prompt)
    return fmt::format("{}: from token 1 on the prompt and the text read the rows as it leaves them",
                       compression.text());
  if (written < 2)
    return fmt::format("{}, and the prompt of {} tokens was answered before: no token read the compressed cache",
                       compression.text(), prompt);
  return fmt::format(
      "{}, and the prompt of {} tokens was answered before: from token 2 of the continuation on the compressed cache "
      "is read",
      compression.text(), prompt);
}

// Ends the line of the text, also before an error that ends the text early.
struct LineEnd {
  LineEnd() = default;
  LineEnd(const LineEnd&) = delete;
  LineEnd& operator=(const LineEnd&) = delete;
  ~LineEnd() { print("\n"); }
};

// Writes the prompt and its continuation; the number of tokens written after the prompt.
int write_text(const GenerateOptions& options, const model::Tokenizer& tokenizer,
               std::span<const model::TokenId> prompt, std::span<const model::TokenId> ends, model::Decoder& decoder,
               model::Session& session) {
  std::vector<float> logits(decoder.config().vocab_size);
  const auto read_logits = [&](TensorView<const float, 2> hidden) {
    decoder.logits(hidden.slice(hidden.extent(0) - 1, 1),
                   {logits.data(), {1, static_cast<std::int64_t>(logits.size())}});
  };
  // The prompt as it was typed; what follows is decoded with the prompt before it, so that blanks come out right.
  print(options.prompt);
  const LineEnd line_end;
  const auto stream = tokenizer.stream();
  for (const model::TokenId token : prompt) stream->push(token);
  experiment::feed_prompt(decoder, session, 0, prompt, experiment::kPrefillChunk,
                          [&](int first, TensorView<const float, 2> hidden) {
                            if (first + hidden.extent(0) == static_cast<std::int64_t>(prompt.size()))
                              read_logits(hidden);
                          });
  model::Sampler sampler(options.sampling);
  int written = 0;
  while (written < options.tokens) {
    // NaN has no order: the likeliest token of such a row would be token 0.
    if (!options.model_options.allows_nonfinite())
      experiment::check_logits(logits, static_cast<int>(prompt.size()) + written - 1);
    const model::TokenId next = sampler.next(logits);
    if (options.stop_at_eos && std::ranges::find(ends, next) != ends.end()) break;
    print(next < tokenizer.vocab_size() ? stream->push(next) : std::string("\xEF\xBF\xBD"));
    if (++written == options.tokens) break;
    const model::SequenceTokens fed{.sequence = 0, .tokens = {&next, 1}, .phase = Phase::decode};
    read_logits(decoder.forward(session, {&fed, 1}));
  }
  print(stream->finish());
  return written;
}

int generate(const GenerateOptions& options) {
  auto [registry, source, arm, decoder] = options.model_options.load(options.model);
  const auto tokenizer = source.tokenizer();
  const std::vector<model::TokenId> prompt = experiment::encode_prompt(*tokenizer, options.prompt);
  experiment::check_prompt(prompt, source.config().vocab_size, "--prompt");
  const int length = static_cast<int>(prompt.size()) + options.tokens;
  if (const auto warning = decoder.check_length(length)) warn(*warning);

  model::Session session = decoder.make_session(1, length);
  const std::vector<model::TokenId> ends = experiment::end_tokens(source.config(), *tokenizer);
  const int written = write_text(options, *tokenizer, prompt, ends, decoder, session);
  if (const auto compression = experiment::compression_of(arm, *registry, session))
    note(reading_words(*compression, static_cast<int>(prompt.size()), written));
  return kAllWell;
}

}  // namespace

void add_generate(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("generate", "Continue a prompt");
  auto options = std::make_shared<GenerateOptions>();
  command->add_option("MODEL", options->model, "Checkpoint folder, GGUF file or model YAML")->required();
  command->add_option("--prompt", options->prompt, "The text to continue")->required();
  command->add_option("-n,--tokens", options->tokens, "Tokens to generate")->check(CLI::Range(1, 1 << 24));
  command->add_option("--temperature", options->sampling.temperature, "0 (greedy) or more")
      ->check(CLI::Range(0.0, 1000.0));
  command->add_option("--top-k", options->sampling.top_k, "Draw from the k likeliest tokens; 0: all")
      ->check(CLI::Range(0, 1 << 30));
  command->add_option("--top-p", options->sampling.top_p, "Draw from the likeliest tokens that make up p")
      ->check(CLI::Range(1e-9, 1.0));
  command->add_option("--seed", options->sampling.seed, "Seed of the draws");
  command->add_flag("--stop-at-eos", options->stop_at_eos, "End where the model ends the text");
  options->model_options.add_to(*command);
  command->callback([=, &run] { run = [=] { return generate(*options); }; });
}

}  // namespace attnlab::cli
