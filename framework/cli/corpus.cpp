// attnlab corpus: a text to train on from a package that the machine has, with its licence and digest.
#include <fmt/format.h>

#include <attnlab/error.h>

#include "base/sha256.h"
#include "cli/command.h"
#include "config/quantities.h"
#include "report/read/text_file.h"
#include "tasks/corpus.h"

namespace attnlab::cli {
namespace {

struct CorpusOptions {
  std::string name, most;
  std::filesystem::path from, out;
};

std::uint64_t most_bytes(const std::string& most) {
  if (most.empty()) return 0;
  config::ProblemList problems;
  const auto bytes = config::as_bytes(config::parse_argument(most, "--most"), "--most", problems);
  problems.throw_if_any();
  return *bytes;
}

int write_corpus(const CorpusOptions& options) {
  const tasks::CorpusText corpus = tasks::read_corpus(options.name, options.from, most_bytes(options.most));
  report::write_atomically(options.out, corpus.text);
  fmt::print("corpus   {}\nsource   {}, {} files\nlicence  {}\nbytes    {}\nsha256   {}\n", options.name, corpus.source,
             corpus.files.size(), corpus.licence, corpus.text.size(), experiment::sha256_of_text(corpus.text));
  if (!corpus.left_out.empty())
    note(fmt::format("{} files are not UTF-8 and were left out, the first is {}", corpus.left_out.size(),
                     corpus.left_out.front()));
  return kAllWell;
}

}  // namespace

void add_corpus(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("corpus", "Write a text to train on from a package that the machine has");
  auto options = std::make_shared<CorpusOptions>();
  std::string names = "One of:";
  for (const tasks::CorpusKind& kind : tasks::corpora()) names += fmt::format("\n{}: {}", kind.name, kind.doc);
  command->add_option("NAME", options->name, names)->required();
  command->add_option("--from", options->from, "Folder of the headers, or of the unpacked npm package");
  command->add_option("--most", options->most, "Whole files up to so many bytes, as 4MiB; default: all");
  command->add_option("-o,--out", options->out, "File to write")->required();
  command->callback([=, &run] { run = [=] { return write_corpus(*options); }; });
}

}  // namespace attnlab::cli
