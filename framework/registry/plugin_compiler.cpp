#include "registry/plugin_compiler.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/runtime_symbol_info.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/error.h>
#include <attnlab/fingerprint.h>

#include "base/fnv1a.h"
#include "registry/compiler_process.h"
#include "registry/stamp.h"

namespace attnlab {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxLines = 100;  // of the compiler's messages

// The headers that this program was built with, so that others are noticed before a plugin is compiled against them.
struct Header {
  std::string_view name;
  std::string_view text;
};
constexpr Header kHeaders[] = {
#include "sdk_headers.inc"
};

std::optional<std::string> read(const fs::path& file) {
  std::error_code failure;
  if (!fs::is_regular_file(file, failure)) return std::nullopt;
  std::ifstream stream(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  return stream ? std::optional(std::move(text)) : std::nullopt;
}

// Where the SDK is and how a plugin is compiled: a file beside the library, in a build as in an installation, so that
// an installed tree may be moved. Written by cmake/AttnLabInstall.cmake.
struct Sdk {
  fs::path library;
  std::string compiler;
  std::vector<std::string> flags;
  std::vector<fs::path> include;
  fs::path version_script;
};

Sdk read_sdk(const fs::path& source) {
  const fs::path library = fs::weakly_canonical(boost::dll::this_line_location());
  const fs::path file = library.parent_path() / "attnlab" / "sdk.json";
  const std::string remedy = "a plugin's source needs the SDK; install AttnLab as a whole with cmake --install";
  const auto text = read(file);
  if (!text) throw Error(source.string(), "cannot be compiled: there is no " + file.string(), remedy);
  try {
    const nlohmann::json json = nlohmann::json::parse(*text);
    const auto path = [&](const nlohmann::json& relative) {
      return (file.parent_path() / relative.get<std::string>()).lexically_normal();
    };
    Sdk sdk{.library = library,
            .compiler = json.at("compiler"),
            .flags = json.at("flags"),
            .version_script = path(json.at("version_script"))};
    for (const nlohmann::json& folder : json.at("include")) sdk.include.push_back(path(folder));
    if (const char* more = std::getenv("ATTNLAB_PLUGIN_CXXFLAGS")) {
      std::istringstream words(more);
      sdk.flags.insert(sdk.flags.end(), std::istream_iterator<std::string>(words), {});
    }
    return sdk;
  } catch (const nlohmann::json::exception& failure) {
    throw Error(file.string(), std::string("is damaged: ") + failure.what(), remedy);
  }
}

// The first include folder is that of the headers.
void check_headers(const Sdk& sdk, const fs::path& source) {
  const fs::path folder = sdk.include.front() / "attnlab";
  for (const Header& header : kHeaders)
    if (read(folder / header.name) != header.text)
      throw Error(source.string(),
                  "plugin refused: another SDK: " + (folder / header.name).string() +
                      " is not the header that this program was built with (SDK " ATTNLAB_SDK_VERSION
                      " " ATTNLAB_SDK_FINGERPRINT ")",
                  "install this program's SDK again, or build AttnLab with that header");
}

// The source and what it includes by a quoted name beside the including file; path -> text.
void collect(const fs::path& file, std::map<fs::path, std::string>& texts) {
  static const std::regex quoted(R"re([ \t]*#[ \t]*include[ \t]*"([^"]+)".*)re");
  auto text = read(file);
  if (!text || texts.contains(file)) return;
  const std::string& taken = texts.emplace(file, *std::move(text)).first->second;
  std::istringstream lines(taken);
  std::smatch match;
  for (std::string line; std::getline(lines, line);)
    if (line.find('#') != std::string::npos && std::regex_match(line, match, quoted))
      collect((file.parent_path() / match[1].str()).lexically_normal(), texts);
}

// Names files, guards nothing.
std::string digest(std::string_view text) {
  const std::uint64_t hash = fnv1a(text);
  std::string hex;
  for (int shift = 60; shift >= 0; shift -= 4) hex += "0123456789abcdef"[hash >> shift & 15];
  return hex;
}

// Everything that the shared object depends on, lengths included so that nothing runs into the next.
std::string key_of(const fs::path& source, const Sdk& sdk, const std::map<fs::path, std::string>& texts) {
  std::string key = ATTNLAB_SDK_VERSION " " ATTNLAB_SDK_FINGERPRINT " " ATTNLAB_TOOLCHAIN " " ATTNLAB_ISA;
  const auto add = [&](const std::string& part) { key += "\n" + std::to_string(part.size()) + " " + part; };
  add(sdk.compiler);
  for (const std::string& flag : sdk.flags) add(flag);
  for (const auto& [file, text] : texts) {
    add(file.lexically_relative(source.parent_path()).string());
    add(text);
  }
  return digest(key);
}

// A folder that can be written, locked against other processes until the object is destroyed.
class Cache {
 public:
  explicit Cache(const fs::path& source) {
    std::vector<fs::path> folders;
    const auto add = [&](const char* variable, const fs::path& below) {
      const char* value = std::getenv(variable);
      if (value != nullptr && fs::path(value).is_absolute()) folders.push_back(value / below);
    };
    add("XDG_CACHE_HOME", "attnlab/plugins");
    add("HOME", ".cache/attnlab/plugins");
    folders.push_back(source.parent_path() / ".attnlab" / "plugins");
    std::string tried;
    for (const fs::path& folder : folders) {
      if (take(folder)) return;
      tried += (tried.empty() ? "" : ", ") + folder.string();
    }
    throw Error(source.string(), "cannot be compiled: no folder for the result can be written: " + tried,
                "set XDG_CACHE_HOME to a folder that can be");
  }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  ~Cache() { close(lock_); }

  [[nodiscard]] const fs::path& folder() const noexcept { return folder_; }

 private:
  bool take(const fs::path& folder) {
    std::error_code failure;
    fs::create_directories(folder, failure);
    lock_ = open((folder / "lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock_ < 0) return false;
    while (flock(lock_, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      close(lock_);
      return false;
    }
    folder_ = folder;
    return true;
  }

  fs::path folder_;
  int lock_ = -1;
};

// The build's compiler, or the machine's where that one is gone; it must be of the kind that the stamp will name.
std::string choose_compiler(const Sdk& sdk, const fs::path& source) {
  const std::string compiler = access(sdk.compiler.c_str(), X_OK) == 0 ? sdk.compiler : "c++";
  const std::string found = compiler_name(compiler);
  const std::string wanted = ATTNLAB_TOOLCHAIN;
  if (found.empty())
    throw Error(source.string(), "cannot be compiled: neither " + sdk.compiler + " nor c++ is a compiler",
                "install " + wanted.substr(0, wanted.find(" lib")));
  if (!wanted.starts_with(found + " "))
    throw Error(source.string(), "cannot be compiled: " + compiler + " is " + found + ", this program has " + wanted,
                "install the compiler that AttnLab was built with, or build AttnLab with this one");
  return compiler;
}

[[noreturn]] void fail(const fs::path& source, const CompilerRun& run) {
  std::vector<Problem> problems;
  if (run.signal != 0)
    problems.push_back({source.string(), "the compiler was ended by signal " + std::to_string(run.signal), {}});
  else
    problems.push_back({source.string(), "does not compile as a plugin of this SDK", "the compiler says:"});
  std::istringstream lines(run.said);
  for (std::string line; std::getline(lines, line);) {
    if (problems.size() > kMaxLines) {
      problems.push_back({"", "... and more", {}});
      break;
    }
    problems.push_back({"", line, {}});
  }
  throw Error(std::move(problems));
}

void compile(const fs::path& source, const Sdk& sdk, const fs::path& object) {
  const fs::path part = object.string() + ".part";  // no other process writes it while the folder is locked
  std::vector<std::string> words{choose_compiler(sdk, source)};
  words.insert(words.end(), sdk.flags.begin(), sdk.flags.end());
  for (const fs::path& folder : sdk.include) words.push_back("-I" + folder.string());
  words.insert(words.end(), {"-o", part.string(), source.string(), sdk.library.string(),
                             "-Wl,--version-script=" + sdk.version_script.string()});
  const CompilerRun run = run_compiler(std::move(words));
  std::error_code failure;
  if (run.started && run.exit_code == 0) {
    fs::rename(part, object, failure);
    if (!failure) return;
    throw Error(object.string(), "cannot be written: " + failure.message());
  }
  fs::remove(part, failure);
  fail(source, run);
}

}  // namespace

bool is_plugin_source(const fs::path& file) {
  const fs::path extension = file.extension();
  return extension == ".cpp" || extension == ".cc" || extension == ".cxx";
}

fs::path compiled_plugin(const fs::path& named) {
  const fs::path source = fs::absolute(named).lexically_normal();
  std::map<fs::path, std::string> texts;
  collect(source, texts);
  if (!texts.contains(source)) throw Error(named.string(), "plugin refused: the file cannot be read");
  const Sdk sdk = read_sdk(named);
  check_headers(sdk, named);
  const Cache cache(source);
  const fs::path object = cache.folder() / (source.stem().string() + "-" + key_of(source, sdk, texts) + ".so");
  // One that is damaged is as good as none.
  std::error_code failure;
  if (!fs::exists(object, failure) || !check_stamp(object).fits) compile(named, sdk, object);
  return object;
}

}  // namespace attnlab
