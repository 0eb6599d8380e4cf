#include "cli/program.h"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <new>

#include <attnlab/error.h>

#include "base/crash_report.h"
#include "base/plugin_call.h"
#include "cli/command.h"

namespace attnlab::cli {
namespace {

constexpr Command kCommands[] = {add_run,      add_validate, add_report, add_compare,   add_list,
                                 add_describe, add_generate, add_logits, add_gradients, add_train,
                                 add_replay,   add_tokenize, add_new,    add_compose,   add_schema,
                                 add_check,    add_bench,    add_corpus, add_job,       add_merge};

void print_error(const std::string& text) {
  fmt::print(stderr, "attnlab: {}\n", text);
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return text;
}

// What CLI11 says of a wrong command line, with the nearest command where the name is not known.
int usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help
  std::string text = one_line(error.what());
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty()) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    const std::string nearest = nearest_name(argv[1], names);
    text = fmt::format("unknown command \"{}\"; ", one_line(argv[1]));
    text += nearest.empty() ? "attnlab --help lists the commands" : fmt::format("did you mean \"{}\"?", nearest);
  }
  print_error(text);
  return kWrongInput;
}

}  // namespace

int program(int argc, char** argv) {
  name_crashes();
  CLI::App app("AttnLab: quality, speed and real bytes of attention variants, from one YAML", "attnlab");
  app.require_subcommand(1);
  std::function<int()> run;
  for (const Command add : kCommands) add(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error, argc, argv);
  }
  try {
    return run();
  } catch (const Error& error) {
    for (const Problem& problem : error.problems()) print_error(problem.text());
  } catch (const std::bad_alloc&) {
    print_error("not enough memory; a smaller model, a shorter sequence or fewer sequences need less");
    return kFailed;
  } catch (const std::exception& error) {
    print_error(one_line(error.what()));
    return kFailed;
  } catch (...) {
    print_error(one_line("internal error: unexpected exception: " + current_exception_text()));
    return kFailed;
  }
  return kWrongInput;
}

}  // namespace attnlab::cli
