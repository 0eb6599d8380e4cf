// README.md and docs/ held against the program: every command that they show is one of its own, with options that it
// has, and the experiment that they print is a valid one.
#include "reference/documents.h"

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

struct ShownCommand {
  std::string name;
  std::vector<std::string> options;
};

// `attnlab run FILE --set a=b # why`: words in capitals stand for something, and the launcher's `test` is its own.
std::vector<ShownCommand> shown_commands(const std::string& text) {
  static const std::regex command(R"(\battnlab ([a-z]+)( [^#]*)?)");
  static const std::regex option(R"(\s(--?[a-z][a-z_-]*))");
  std::vector<ShownCommand> found;
  for (const std::string& piece : code_pieces(text)) {
    std::smatch match;
    if (!std::regex_search(piece, match, command)) continue;
    ShownCommand shown{match[1], {}};
    const std::string rest = match[2];
    for (auto at = std::sregex_iterator(rest.begin(), rest.end(), option); at != std::sregex_iterator(); ++at)
      shown.options.push_back((*at)[1]);
    found.push_back(std::move(shown));
  }
  return found;
}

bool has_option(const std::string& help, const std::string& option) {
  return std::regex_search(help, std::regex("(^|[\\s,])" + option + "([\\s,=]|$)"));
}

TEST(DocumentedCommands, AreThoseOfTheProgramWithOptionsThatItHas) {
  const Sandbox sandbox;
  const fs::path root = ATTNLAB_SOURCE_DIR;
  std::vector<fs::path> files = documents();
  files.push_back(root / "framework" / "cli" / "templates" / "README.md.in");
  const bool launcher_tests = document_text(root / "attnlab").find("\"${1:-}\" = test ]") != std::string::npos;
  std::map<std::string, std::string> helps;
  int commands = 0;
  for (const fs::path& file : files)
    for (const ShownCommand& shown : shown_commands(document_text(file))) {
      ++commands;
      if (shown.name == "test" && launcher_tests) continue;
      auto known = helps.find(shown.name);
      if (known == helps.end()) {
        const Outcome outcome = sandbox.run({shown.name, "--help"});
        known = helps.emplace(shown.name, outcome.out).first;  // that of all commands, where there is no such one
      }
      if (known->second.find("Usage: attnlab " + shown.name + ' ') == std::string::npos) {
        ADD_FAILURE() << file << " shows the command " << shown.name;
        continue;
      }
      for (const std::string& option : shown.options) {
        const bool is_passed_on = shown.name == "bench" && option.starts_with("--benchmark_");
        EXPECT_TRUE(is_passed_on || has_option(known->second, option)) << file << ": " << shown.name << ' ' << option;
      }
    }
  EXPECT_GT(commands, 40) << "the pattern no longer finds commands";
}

TEST(DocumentedExperiments, AreValid) {
  const Sandbox sandbox;
  const fs::path root = ATTNLAB_SOURCE_DIR;
  fs::create_directory_symlink(root / "configs", sandbox / "configs");
  const std::vector<std::string> blocks = fenced_blocks(document_text(root / "docs" / "experiments.md"), "yaml");
  ASSERT_EQ(blocks.size(), 2U);
  sandbox.write("experiments/whole.yaml", blocks[0]);
  expect_well(sandbox.run({"validate", "experiments/whole.yaml"}));
  // The other is the key `arms` alone.
  std::string rest = blocks[0];
  const std::size_t arms = rest.find("arms:"), next = rest.find("baseline:");
  ASSERT_TRUE(arms < next && next != std::string::npos);
  rest.replace(arms, next - arms, blocks[1]);
  rest.erase(rest.find("baseline:"), rest.find("workloads:") - rest.find("baseline:"));
  sandbox.write("experiments/arms.yaml", rest);
  expect_well(sandbox.run({"validate", "experiments/arms.yaml"}));
}

}  // namespace
}  // namespace attnlab::program_test
