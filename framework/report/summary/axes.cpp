#include "report/summary/axes.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace attnlab::report {
namespace {

using Lines = std::map<std::string, AxisLine>;  // by what all points have in common

// A number that equals the axis in every point goes with it (a prefill's new tokens and its context).
std::string number_text(double number, double x) {
  return number == x ? "=" : fmt::format("{}", number);
}

bool has_one_point_an_x(const AxisLine& line) {
  std::set<double> seen;
  return std::ranges::all_of(line.points, [&](const AxisPoint& point) { return seen.insert(point.x).second; });
}

// Keeps what makes a line, in the order of first points.
std::vector<AxisLine> lines_of(Lines lines, const std::vector<std::string>& order) {
  std::vector<AxisLine> kept;
  for (const std::string& key : order) {
    AxisLine& line = lines.at(key);
    if (line.points.size() < 2 || !has_one_point_an_x(line)) continue;
    std::ranges::sort(line.points, {}, &AxisPoint::x);
    kept.push_back(std::move(line));
  }
  return kept;
}

class LineMaker {
 public:
  void add(const std::string& key, const std::string& label, AxisPoint point) {
    const auto [line, is_new] = lines_.try_emplace(key);
    if (is_new) {
      order_.push_back(key);
      line->second.label = label;
    }
    line->second.points.push_back(std::move(point));
  }
  [[nodiscard]] std::vector<AxisLine> lines() const { return lines_of(lines_, order_); }

 private:
  Lines lines_;
  std::vector<std::string> order_;
};

Axis case_axis(const StudyLayout& layout, const std::string& workload, const std::string& name) {
  LineMaker maker;
  std::set<std::string> rests;
  for (const CaseLayout& entry : layout.cases) {
    if (entry.workload != workload || !entry.numbers.contains(name)) continue;
    const double x = entry.numbers.at(name);
    std::string rest;
    for (const auto& [other, number] : entry.numbers)
      if (other != name) rest += fmt::format("{} {}, ", other, number_text(number, x));
    if (const auto kind = entry.data.find("kind"); kind != entry.data.end()) rest += kind->second + ", ";
    for (const ArmLayout& arm : layout.arms)
      if (arm.refused.empty()) maker.add(arm.name + "\n" + rest, arm.name + "\n" + rest, {x, arm.name, entry});
  }
  Axis axis{name, {workload, ""}, true, maker.lines()};
  for (const AxisLine& line : axis.lines) rests.insert(line.label.substr(line.label.find('\n')));
  for (AxisLine& line : axis.lines) {  // the rest is said only where it tells lines of one arm apart
    const std::size_t cut = line.label.rfind('\n');
    std::string rest = line.label.substr(cut + 1);
    line.label.resize(cut);
    if (rests.size() > 1 && !rest.empty()) line.label += " (" + rest.substr(0, rest.size() - 2) + ")";
  }
  return axis;
}

// A component as it is written, "h2o" or {"h2o": {"heavy": 32}}, without the option and with "=" for its equals.
std::string without_option(const std::string& component, const std::string& option, double x, bool keeps_id) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(component, nullptr, false);
  if (!json.is_object() || json.size() != 1 || !json.begin()->is_object()) {
    if (json.is_object()) return component;  // differs by layer
    return keeps_id ? component : std::string();
  }
  nlohmann::ordered_json& options = *json.begin();
  options.erase(option);
  for (nlohmann::ordered_json& value : options)
    if (value.is_number() && value.get<double>() == x) value = "=";
  const std::string id = keeps_id ? json.items().begin().key() : std::string();
  if (options.empty()) return id;
  std::string text;
  for (const auto& [key, value] : options.items())
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", key,
                        value.is_string() ? value.get<std::string>() : value.dump());
  return (id.empty() ? "(" : id + " (") + text + ")";
}

// Components that all lines share are not worth a word.
std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts)
    if (!part.empty()) text += (text.empty() ? "" : "/") + part;
  return text;
}

Axis arm_axis(const StudyLayout& layout, const CaseLayout& entry, const std::string& name) {
  const std::size_t dot = name.find('.');
  // How many heads the cache keeps is asked across variants: mha, gqa and mqa are one line.
  const std::string kind = dot == std::string::npos ? "attention" : name.substr(0, dot);
  const std::string option = dot == std::string::npos ? name : name.substr(dot + 1);
  LineMaker across, apart;
  for (const ArmLayout& arm : layout.arms) {
    if (!arm.refused.empty() || !arm.numbers.contains(name)) continue;
    const double x = arm.numbers.at(name);
    const auto line = [&](bool keeps_id) {
      std::vector<std::string> parts;
      for (const auto& [of, text] : {std::pair<std::string, std::string>{"attention", arm.attention},
                                     {"position", arm.position},
                                     {"cache", arm.cache}})
        parts.push_back(of == kind ? without_option(text, option, x, keeps_id) : text);
      for (const char* key : {"weights", "compute"})
        if (arm.resolved.is_object() && arm.resolved.contains(key))
          parts.push_back(fmt::format("{}={}", key, arm.resolved.at(key).get<std::string>()));
      return joined(parts);
    };
    const AxisPoint point{x, arm.name, entry};
    across.add(line(dot != std::string::npos), line(dot != std::string::npos), point);
    apart.add(line(true), line(true), point);
  }
  Axis axis{name, entry, false, across.lines()};
  if (axis.lines.empty()) axis.lines = apart.lines();
  return axis;
}

}  // namespace

std::vector<Axis> axes(const StudyLayout& layout) {
  std::vector<Axis> all;
  const auto keep = [&](Axis axis) {
    if (!axis.lines.empty()) all.push_back(std::move(axis));
  };
  std::set<std::pair<std::string, std::string>> seen;
  for (const CaseLayout& entry : layout.cases)
    for (const auto& [name, number] : entry.numbers)
      if (seen.insert({entry.workload, name}).second) keep(case_axis(layout, entry.workload, name));
  std::set<std::string> names;
  for (const ArmLayout& arm : layout.arms)
    for (const auto& [name, number] : arm.numbers) names.insert(name);
  if (names.contains("kv_heads")) names.erase("attention.kv_heads");
  for (const std::string& name : names) {
    const Axis of_any = arm_axis(layout, {}, name);
    for (const CaseLayout& entry : layout.cases) {
      Axis axis = of_any;
      axis.entry = entry;
      for (AxisLine& line : axis.lines)
        for (AxisPoint& point : line.points) point.entry = entry;
      keep(std::move(axis));
    }
  }
  return all;
}

}  // namespace attnlab::report
