// The documents of this tree as tests read them: which there are, and what in them is code.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace attnlab {

inline std::string document_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// README.md, those of plugins and experiments, and all of docs/.
inline std::vector<std::filesystem::path> documents() {
  const std::filesystem::path root = ATTNLAB_SOURCE_DIR;
  std::vector<std::filesystem::path> all = {root / "README.md", root / "plugins" / "README.md",
                                            root / "experiments" / "README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

inline std::vector<std::string> document_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Blocks between lines of ``` with this word after the first; empty: with any, or none.
inline std::vector<std::string> fenced_blocks(const std::string& text, std::string_view language) {
  std::vector<std::string> blocks;
  bool is_inside = false, is_wanted = false;
  for (const std::string& line : document_lines(text)) {
    if (line.starts_with("```")) {
      is_inside = !is_inside;
      is_wanted = is_inside && (language.empty() || line.substr(3) == language);
      if (is_wanted) blocks.emplace_back();
    } else if (is_wanted) {
      blocks.back() += line + "\n";
    }
  }
  return blocks;
}

/// What is set as code, a piece each: lines of blocks (those that end in a backslash with the next), and `spans`, which
/// may go over the end of a line.
inline std::vector<std::string> code_pieces(const std::string& text) {
  std::vector<std::string> pieces;
  std::string prose;
  bool is_fenced = false, goes_on = false;
  for (const std::string& line : document_lines(text)) {
    if (line.starts_with("```")) {
      is_fenced = !is_fenced;
    } else if (is_fenced || line.starts_with("    ")) {
      const std::string code = line.substr(std::min(line.find_first_not_of(' '), line.size()));
      if (goes_on)
        pieces.back().back() = ' ', pieces.back() += code;
      else
        pieces.push_back(code);
      goes_on = code.ends_with("\\");
    } else {
      prose += line + " ";
    }
  }
  static const std::regex span("`([^`]+)`");
  for (auto found = std::sregex_iterator(prose.begin(), prose.end(), span); found != std::sregex_iterator(); ++found)
    pieces.push_back((*found)[1]);
  return pieces;
}

}  // namespace attnlab
