// attnlab logits: the logits of every position of a prompt, through the cache, as a safetensors file.
#include <fmt/format.h>

#include <attnlab/error.h>

#include "assembly/compression.h"
#include "assembly/feeding.h"
#include "assembly/prompt.h"
#include "cli/command.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::cli {
namespace {

struct LogitsOptions {
  std::filesystem::path model, ids, out;
  std::string prompt;
  bool has_prompt = false;
  int chunk = 0;
  ModelOptions model_options;
};

int logits(const LogitsOptions& options) {
  if (options.has_prompt == !options.ids.empty()) throw Error("", "logits needs either --ids FILE or --prompt TEXT");
  auto [registry, source, arm, decoder] = options.model_options.load(options.model);
  const std::vector<model::TokenId> tokens =
      options.has_prompt ? experiment::encode_prompt(*source.tokenizer(), options.prompt) : read_ids(options.ids);
  const std::string where = options.has_prompt ? "--prompt" : options.ids.string();
  experiment::check_prompt(tokens, source.config().vocab_size, where);
  if (const auto warning = decoder.check_length(static_cast<int>(tokens.size()))) warn(*warning);

  const std::int64_t vocab = source.config().vocab_size;
  const auto count = static_cast<std::int64_t>(tokens.size());
  std::vector<float> all(static_cast<std::size_t>(count * vocab));
  model::Session session = decoder.make_session(1, static_cast<int>(count));
  const int chunk = options.chunk > 0 ? options.chunk : static_cast<int>(count);
  experiment::feed_prompt(decoder, session, 0, tokens, chunk, [&](int first, TensorView<const float, 2> hidden) {
    decoder.logits(hidden, {all.data() + first * vocab, {hidden.extent(0), vocab}});
    if (options.model_options.allows_nonfinite()) return;
    for (std::int64_t row = first; row < first + hidden.extent(0); ++row)
      experiment::check_logits(std::span(all).subspan(row * vocab, vocab), static_cast<int>(row));
  });
  const model::OutputTensor tensor{
      .name = "logits", .dtype = model::DType::f32, .shape = {count, vocab}, .bytes = std::as_bytes(std::span(all))};
  model::write_safetensors(options.out, {&tensor, 1});
  if (const auto compression = experiment::compression_of(arm, *registry, session))
    note(
        compression->is_in_prompt
            ? fmt::format("{}: from token 1 on the logits read the rows as it leaves them", compression->text())
            : fmt::format("{}, and all {} tokens are one prompt that was answered before: no token read the compressed "
                          "cache",
                          compression->text(), count));
  return kAllWell;
}

}  // namespace

void add_logits(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("logits", "Logits of every position of a prompt, as safetensors");
  auto options = std::make_shared<LogitsOptions>();
  command->add_option("MODEL", options->model, "Checkpoint folder, GGUF file or model YAML")->required();
  command->add_option("--ids", options->ids, "File with token ids, separated by blanks or commas");
  CLI::Option* prompt = command->add_option("--prompt", options->prompt, "The prompt as text");
  command->add_option("--chunk", options->chunk, "Tokens fed at a time; default: all at once")
      ->check(CLI::Range(1, 1 << 30));
  command->add_option("-o,--out", options->out, "The file to write")->required();
  options->model_options.add_to(*command);
  command->callback([=, &run] {
    options->has_prompt = prompt->count() > 0;
    run = [=] { return logits(*options); };
  });
}

}  // namespace attnlab::cli
