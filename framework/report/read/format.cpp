#include "report/read/format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

#include "base/utf8.h"

namespace attnlab::report {
namespace {

// Three significant digits; whole numbers from a hundred on. The limits round up to the next form.
std::string three_digits(double value) {
  const double size = std::abs(value);
  if (size < 9.995) return fmt::format("{:.2f}", value);
  if (size < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

std::string with_prefix(double value, double step, std::span<const std::string_view> units) {
  std::size_t unit = 0;
  while (unit + 1 < units.size() && std::abs(value) >= step - 0.5) {
    value /= step;
    ++unit;
  }
  const bool is_whole = unit == 0 && value == std::floor(value);
  const std::string digits = is_whole ? fmt::format("{:.0f}", value) : three_digits(value);
  return units[unit].empty() ? digits : fmt::format("{} {}", digits, units[unit]);
}

bool is_control(char letter) {
  const auto code = static_cast<unsigned char>(letter);
  return code < 0x20 || code == 0x7f;
}

bool is_word(char letter) {
  const auto code = static_cast<unsigned char>(letter);
  return std::isalnum(code) || code >= 0x80;
}

}  // namespace

std::string format_si(double value) {
  constexpr std::array<std::string_view, 6> kPrefixes = {"", "k", "M", "G", "T", "P"};
  if (!std::isfinite(value) || (value != 0 && std::abs(value) < 0.0995)) return fmt::format("{:.3g}", value);
  return with_prefix(value, 1000, kPrefixes);
}

std::string format_bytes(double bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (!std::isfinite(bytes)) return fmt::format("{} B", bytes);
  return with_prefix(bytes, 1024, kUnits);
}

std::string format_seconds(double seconds) {
  const double size = std::abs(seconds);
  if (!std::isfinite(seconds) || size == 0) return fmt::format("{} s", seconds);
  if (size < 999.5e-9) return three_digits(seconds * 1e9) + " ns";
  if (size < 999.5e-6) return three_digits(seconds * 1e6) + " µs";
  if (size < 999.5e-3) return three_digits(seconds * 1e3) + " ms";
  return three_digits(seconds) + " s";
}

std::string format_duration(double seconds) {
  if (seconds < 9.95 && seconds != std::floor(seconds)) return fmt::format("{:.1f} s", std::max(seconds, 0.0));
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  const bool has_hours = whole >= 3600;
  const std::int64_t large = has_hours ? whole / 3600 : whole / 60;
  const std::int64_t small = has_hours ? whole % 3600 / 60 : whole % 60;
  const std::string text = fmt::format("{} {}", large, has_hours ? "h" : "min");
  return small == 0 ? text : fmt::format("{} {:02} {}", text, small, has_hours ? "min" : "s");
}

std::string format_value(double value, std::string_view unit) {
  if (unit == "bytes") return format_bytes(value);
  if (unit == "s") return format_seconds(value);
  if (unit == "tokens/s") return format_si(value);
  if (unit == "share") return fmt::format("{:.1f} %", value * 100);
  // Counts in full, everything else (perplexity, nats) with four digits.
  if (value == std::floor(value) && std::abs(value) < 1e9) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string format_ratio(double ratio) {
  if (std::abs(ratio) < 0.01) return fmt::format("{:.2g} ×", ratio);
  return fmt::format("{:.{}f} ×", ratio, std::abs(ratio) < 10 ? 3 : 1);
}

std::string case_title(const CaseLayout& entry) {
  if (entry.case_name.empty()) return entry.workload;
  std::string title = entry.workload + " " + entry.case_name;
  // The name says how a window was fed, and so which of its tokens count.
  if (entry.case_name.find("_prefill_all") != std::string::npos) return title + " (prompts alone)";
  if (entry.case_name.find("_prefill") != std::string::npos) return title + " (after the prompt)";
  return title;
}

std::string one_line(std::string_view text) {
  std::string line(text);
  std::ranges::replace_if(line, is_control, ' ');
  return line;
}

std::string markdown_text(std::string_view text) {
  const std::string line = one_line(text);
  std::string escaped;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char letter = line[i];
    const bool is_inside_word = i > 0 && i + 1 < line.size() && is_word(line[i - 1]) && is_word(line[i + 1]);
    const bool starts_block = i == 0 && std::string_view("-+=#:").find(letter) != std::string_view::npos;
    if (letter == '<')
      escaped += "&lt;";
    else if (letter == '>')
      escaped += "&gt;";
    else if (letter == '&')
      escaped += "&amp;";
    else if (std::string_view("\\`|*[]~$").find(letter) != std::string_view::npos ||
             (letter == '_' && !is_inside_word) || starts_block)
      escaped += std::string("\\") + letter;
    else
      escaped += letter;
  }
  return escaped;
}

std::string html_text(std::string_view text) {
  std::string escaped;
  for (const char letter : text) {
    switch (letter) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += letter;
    }
  }
  return escaped;
}

std::string markdown_block(std::string_view text) {
  std::string body;
  int run = 0;
  int longest_run = 0;
  for (const char letter : text) {
    body += is_control(letter) && letter != '\n' && letter != '\t' ? ' ' : letter;
    run = letter == '`' ? run + 1 : 0;
    longest_run = std::max(longest_run, run);
  }
  const std::string fence(static_cast<std::size_t>(std::max(3, longest_run + 1)), '`');
  if (!body.ends_with('\n')) body += '\n';
  return fence + "text\n" + body + fence + "\n";
}

int terminal_width(std::string_view text) {
  return count_characters(text);
}

std::string aligned(const std::vector<std::vector<std::string>>& lines, std::size_t left) {
  std::vector<int> widths(lines.front().size());
  for (const std::vector<std::string>& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], terminal_width(line[i]));
  std::string text;
  for (const std::vector<std::string>& line : lines) {
    std::string row;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string padding(static_cast<std::size_t>(widths[i] - terminal_width(line[i])), ' ');
      const bool is_left = i < left || i + 1 == line.size();
      row += (i == 0 ? "  " : "   ") + (is_left ? line[i] + padding : padding + line[i]);
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

}  // namespace attnlab::report
