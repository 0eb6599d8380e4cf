#include "registry/compiler_process.h"

#include <string_view>
#include <utility>

#include "base/program.h"

namespace attnlab {
namespace {

// The value of a predefined macro in what `-dM -E` prints, or nothing.
std::string macro(std::string_view macros, std::string_view name) {
  const std::string start = "#define " + std::string(name) + " ";
  const std::size_t at = macros.find(start);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = macros.substr(at + start.size());
  return std::string(rest.substr(0, rest.find('\n')));
}

}  // namespace

CompilerRun run_compiler(std::vector<std::string> words) {
  ProgramRun run = run_program(std::move(words));
  return {.started = run.started, .exit_code = run.exit_code, .signal = run.signal, .said = run.out + run.err};
}

std::string compiler_name(const std::string& compiler) {
  const CompilerRun run = run_compiler({compiler, "-dM", "-E", "-x", "c++", "/dev/null"});
  if (!run.started || run.exit_code != 0) return {};
  // Clang calls itself GNU too.
  if (const std::string clang = macro(run.said, "__clang_major__"); !clang.empty()) return "clang " + clang;
  const std::string gnu = macro(run.said, "__GNUC__");
  return gnu.empty() ? std::string() : "gcc " + gnu;
}

}  // namespace attnlab
