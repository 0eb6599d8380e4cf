#include "registry/stamp.h"

#include <elf.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

namespace attnlab {
namespace {

// A library whose loadable parts reach past the end of the file would kill the process when it is mapped.
std::string elf_problem(std::string_view bytes) {
  Elf64_Ehdr header;
  if (bytes.size() < sizeof header || bytes.substr(0, SELFMAG) != std::string_view(ELFMAG, SELFMAG))
    return "no shared object";
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN) return "no 64-bit shared object";
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > bytes.size() ||
      header.e_phnum > (bytes.size() - header.e_phoff) / sizeof(Elf64_Phdr))
    return "a damaged shared object: its program headers are not inside the file";
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part;
    std::memcpy(&part, bytes.data() + header.e_phoff + i * sizeof part, sizeof part);
    if (part.p_offset > bytes.size() || part.p_filesz > bytes.size() - part.p_offset)
      return "a damaged shared object: it ends before its contents do";
  }
  return {};
}

std::string text(const char* from, std::size_t room) {
  return std::string(from, strnlen(from, room));
}

std::string describe(const Stamp& stamp) {
  return "SDK " + text(stamp.sdk_version, sizeof stamp.sdk_version) + " (" +
         text(stamp.sdk_fingerprint, sizeof stamp.sdk_fingerprint).substr(0, 8) + ")  " +
         text(stamp.toolchain, sizeof stamp.toolchain) + "  " + text(stamp.isa, sizeof stamp.isa);
}

}  // namespace

StampCheck check_stamp(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream) return {.reason = "the file cannot be read"};
  if (const std::string problem = elf_problem(bytes); !problem.empty()) return {.reason = "not a plugin: " + problem};

  constexpr Stamp ours = make_stamp();
  const std::string_view magic(ours.magic, sizeof ours.magic);
  const std::size_t at = bytes.find(magic);
  if (at == std::string::npos)
    return {.reason = "not a plugin: it has no AttnLab stamp (ATTNLAB_PLUGIN is missing in its source)"};
  if (bytes.find(magic, at + 1) != std::string::npos)
    return {.reason = "it has two stamps (ATTNLAB_PLUGIN may stand in one source of a plugin only)"};
  Stamp theirs{};
  const std::size_t fixed = sizeof theirs.magic + sizeof theirs.size;
  if (bytes.size() - at < fixed) return {.reason = "its stamp is cut off"};
  std::memcpy(&theirs, bytes.data() + at, fixed);
  if (theirs.size != sizeof(Stamp) || bytes.size() - at < sizeof(Stamp))
    return {.reason = "its stamp has " + std::to_string(theirs.size) + " bytes where this SDK has " +
                      std::to_string(sizeof(Stamp)) + "; rebuild it against this SDK"};
  std::memcpy(&theirs, bytes.data() + at, sizeof theirs);

  const std::string sides = "  built against   " + describe(theirs) + "\n  this program    " + describe(ours) + "\n";
  const std::string remedy = "rebuild it against this SDK: cmake --build build --target " + file.stem().string();
  const auto refuse = [&](const std::string& what) {
    return StampCheck{
        .reason = what + ": built against " + describe(theirs) + ", this program has " + describe(ours) + "; " + remedy,
        .details = sides + "  remedy          " + remedy + "\n"};
  };
  if (std::memcmp(theirs.sdk_fingerprint, ours.sdk_fingerprint, sizeof ours.sdk_fingerprint) != 0 ||
      std::memcmp(theirs.sdk_version, ours.sdk_version, sizeof ours.sdk_version) != 0)
    return refuse("another SDK");
  if (std::memcmp(theirs.toolchain, ours.toolchain, sizeof ours.toolchain) != 0) return refuse("another toolchain");
  if (std::memcmp(theirs.isa, ours.isa, sizeof ours.isa) != 0) return refuse("another instruction set");
  return {.fits = true};
}

}  // namespace attnlab
