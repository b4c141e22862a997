#include "tasks/tuning/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/numbers.h"
#include "storage/atomic_file.h"
#include "tables/table_writer.h"

namespace sartor {
namespace {

using datasets::ColumnType;

void write_table(const std::filesystem::path& path, const TrialPlan& plan, const std::vector<Settings>& settings,
                 const std::vector<Outcome>& outcomes) {
  std::vector<datasets::ColumnSpec> columns = {
      {"trial", ColumnType::int64}, {"round", ColumnType::int64}, {"budget", ColumnType::text}};
  for (const auto& field : plan.fields) columns.push_back({field, ColumnType::text});
  for (const std::string& name :
       {plan.split + "." + plan.metric, std::string("standard_deviation"), std::string("seconds")}) {
    columns.push_back({name, ColumnType::float64});
  }
  datasets::TableWriter writer(path, columns, /*overwrite=*/true);
  std::vector<int64_t> trials, rounds;
  std::vector<std::string_view> budgets;
  std::vector<std::vector<std::string_view>> values(plan.fields.size());
  std::vector<double> means, deviations, seconds;
  for (const auto& outcome : outcomes) {
    trials.push_back(outcome.trial);
    rounds.push_back(outcome.round + 1);
    budgets.push_back(outcome.budget);
    for (size_t i = 0; i < values.size(); i++) values[i].push_back(settings[outcome.trial][i]);
    means.push_back(outcome.mean());
    deviations.push_back(outcome.deviation());
    seconds.push_back(outcome.seconds);
  }
  std::vector<datasets::ColumnValues> all = {trials, rounds, budgets};
  all.insert(all.end(), values.begin(), values.end());
  all.insert(all.end(), {means, deviations, seconds});
  writer.append(all);
  writer.finish();
}

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  }
  return safe;
}

// Positions (0 to 1) of texts on an axis: by value if all are numbers, by logarithm if these are positive and span more
// than a factor of 20; otherwise in the order of their first occurrence.
std::vector<double> positions(const std::vector<std::string>& texts) {
  std::vector<double> values;
  std::vector<std::string> known;
  bool numbers = true;
  for (const auto& text : texts) {
    const auto number = parse_number<double>(text);
    numbers = numbers && number && std::isfinite(*number);
    values.push_back(number.value_or(0));
    if (std::ranges::count(known, text) == 0) known.push_back(text);
  }
  if (!numbers) {
    for (size_t i = 0; i < texts.size(); i++)
      values[i] = static_cast<double>(std::ranges::find(known, texts[i]) - known.begin());
  }
  auto [low, high] = std::ranges::minmax(values);
  if (numbers && low > 0 && high > 20 * low) {
    for (double& value : values) value = std::log(value);
    low = std::log(low);
    high = std::log(high);
  }
  for (double& value : values) value = high > low ? (value - low) / (high - low) : 0.5;
  return values;
}

constexpr double chart_width = 260, chart_height = 180, margin = 36, per_row = 3;

struct Point {
  double x, y;  // 0 to 1, y upwards
  bool best;
};

std::string circle(double x, double y, const Point& point) {
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"/>\n", x, y, point.best ? 5 : 3,
                     point.best ? "#c33" : "#48c");
}

std::string label(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, escaped(text));
}

// A chart with its origin at (left, top).
std::string chart(double left, double top, std::string_view title, const std::vector<Point>& points, double low,
                  double high, const std::string& first, const std::string& last) {
  const double width = chart_width - margin, height = chart_height - 2 * margin, bottom = top + margin + height;
  std::string drawn = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"none\" stroke=\"#999\"/>\n",
      left + margin, top + margin, width - margin / 2, height);
  drawn += label(left + margin, top + margin - 8, "start", title);
  drawn += label(left + margin - 4, top + margin + 8, "end", fmt::format("{:.4g}", high));
  drawn += label(left + margin - 4, bottom, "end", fmt::format("{:.4g}", low));
  drawn += label(left + margin, bottom + 14, "start", first);
  if (last != first) drawn += label(left + width + margin / 2, bottom + 14, "end", last);
  const auto draw = [&](const Point& point) {
    drawn +=
        circle(left + margin + 6 + point.x * (width - margin / 2 - 12), bottom - 6 - point.y * (height - 12), point);
  };
  for (const auto& point : points) {
    if (!point.best) draw(point);
  }
  for (const auto& point : points) {
    if (point.best) draw(point);
  }
  return drawn;
}

// The texts at the ends of an axis.
std::pair<std::string, std::string> ends(const std::vector<std::string>& texts, const std::vector<double>& places) {
  const auto [low, high] = std::ranges::minmax_element(places);
  return {texts[low - places.begin()], texts[high - places.begin()]};
}

}  // namespace

std::string draw_trials(const TrialPlan& plan, const std::vector<Settings>& settings,
                        const std::vector<Outcome>& outcomes, const Outcome& best) {
  std::vector<Outcome> shown;
  std::ranges::copy_if(outcomes, std::back_inserter(shown),
                       [](const Outcome& each) { return std::isfinite(each.mean()); });
  std::vector<double> means;
  for (const auto& outcome : shown) means.push_back(outcome.mean());
  const auto [low, high] = std::ranges::minmax(means);
  std::string charts;
  for (size_t field = 0; field < plan.fields.size(); field++) {
    std::vector<std::string> texts;
    for (const auto& outcome : shown) texts.push_back(settings[outcome.trial][field]);
    const auto places = positions(texts);
    std::vector<Point> points;
    for (size_t i = 0; i < shown.size(); i++) {
      const bool is_best = shown[i].trial == best.trial && shown[i].round == best.round;
      points.push_back({places[i], high > low ? (means[i] - low) / (high - low) : 0.5, is_best});
    }
    const auto [first, last] = ends(texts, places);
    charts += chart(chart_width * std::fmod(static_cast<double>(field), per_row),
                    chart_height * std::floor(static_cast<double>(field) / per_row), plan.fields[field], points, low,
                    high, first, last);
  }
  const double rows = std::ceil(static_cast<double>(plan.fields.size()) / per_row);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0f}\" height=\"{:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}{}</svg>\n",
      chart_width * per_row, chart_height * rows + 20, charts,
      label(margin, chart_height * rows + 10, "start",
            fmt::format("{} {} of {} runs", plan.split, plan.metric, shown.size())));
}

void write_report(const std::filesystem::path& folder, const TrialPlan& plan, const std::vector<Settings>& settings,
                  const std::vector<Outcome>& outcomes, const Outcome& best) {
  write_table(folder / "trials.csv", plan, settings, outcomes);
  datasets::write_file(folder / "best.yaml",
                       fmt::format("# Trial {} of {}: {} {} {:.6g}\n{}", best.trial, settings.size(), plan.split,
                                   plan.metric, best.mean(), to_yaml(tuned_config(plan, settings[best.trial]))));
  datasets::write_file(folder / "trials.svg", draw_trials(plan, settings, outcomes, best));
}

}  // namespace sartor
