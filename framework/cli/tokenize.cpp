// attnlab tokenize: text to ids and back, from the tokenizer files of a folder alone.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <attnlab/error.h>

#include "cli/command.h"
#include "model/checkpoints/gguf_file.h"

namespace attnlab::cli {
namespace {

struct TokenizeOptions {
  std::filesystem::path model, file, ids;
  std::string text;
  bool has_text = false;
  bool special = false;
  bool decode = false;
};

std::unique_ptr<model::Tokenizer> tokenizer_of(const std::filesystem::path& named) {
  const std::filesystem::path path = experiment::ModelSource::resolve(named);
  std::error_code error;
  if (std::filesystem::is_directory(path, error) || model::is_gguf(path)) return model::load_tokenizer(path);
  return experiment::ModelSource::open(path).tokenizer();
}

int tokenize(const TokenizeOptions& options) {
  if (options.decode) {
    if (options.ids.empty()) throw Error("", "--decode needs --ids FILE");
    const auto tokenizer = tokenizer_of(options.model);
    const std::string text = tokenizer->decode(read_ids(options.ids));
    std::fwrite(text.data(), 1, text.size(), stdout);
    return kAllWell;
  }
  if (options.has_text == !options.file.empty())
    throw Error("", "tokenize needs either --text TEXT or --file F", "or --decode --ids FILE");
  const auto tokenizer = tokenizer_of(options.model);
  const std::string text = options.has_text ? options.text : read_text(options.file);
  try {
    fmt::print("{}\n",
               fmt::join(options.special ? tokenizer->encode_with_special(text) : tokenizer->encode(text), " "));
  } catch (const Error& error) {
    const Problem& problem = error.problems().front();
    if (options.has_text || !problem.where.empty()) throw;
    throw Error(options.file.string(), problem.what, problem.remedy);
  }
  return kAllWell;
}

}  // namespace

void add_tokenize(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("tokenize", "Token ids of a text, or the text of token ids");
  auto options = std::make_shared<TokenizeOptions>();
  command->add_option("MODEL", options->model, "Folder with tokenizer files, a GGUF file, or a model YAML")->required();
  CLI::Option* text = command->add_option("--text", options->text, "The text");
  command->add_option("--file", options->file, "A file with the text");
  command->add_flag("--special", options->special, "With what the tokenizer adds around a prompt, such as BOS");
  command->add_flag("--decode", options->decode, "Write the text of the ids in --ids");
  command->add_option("--ids", options->ids, "File with ids, separated by blanks or commas");
  command->callback([=, &run] {
    options->has_text = text->count() > 0;
    run = [=] { return tokenize(*options); };
  });
}

}  // namespace attnlab::cli
