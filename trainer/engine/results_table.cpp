#include "engine/results_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace sartor {
namespace {

bool for_people(std::string_view metric) {
  constexpr std::string_view whole[] = {"rmse",     "mae",        "accuracy",      "f1_macro", "roc_auc",
                                        "log_loss", "perplexity", "bits_per_byte", "margin"};
  constexpr std::string_view begins[] = {"recall@", "ndcg@", "coverage@"};
  return std::ranges::find(whole, metric) != std::end(whole) ||
         std::ranges::any_of(begins, [&](auto begin) { return metric.starts_with(begin); });
}

void print_row(std::string_view name, const std::vector<Metric>& metrics,
               const std::vector<std::string_view>& columns) {
  fmt::print("{:<12}", name);
  for (const auto column : columns) {
    const auto found = std::ranges::find(metrics, column, &Metric::name);
    fmt::print("  {:>{}}", found == metrics.end() ? "" : fmt::format("{:.4f}", found->value),
               std::max<size_t>(column.size(), 6));
  }
  fmt::print("\n");
}

}  // namespace

void print_results(const std::vector<Metric>& model, const Scores& baselines) {
  std::vector<std::string_view> columns;
  for (const auto& [name, value] : model) {
    if (for_people(name)) columns.push_back(name);
  }
  if (columns.empty()) return;
  fmt::print("{:<12}", "test");
  for (const auto column : columns) fmt::print("  {:>{}}", column, std::max<size_t>(column.size(), 6));
  fmt::print("\n");
  print_row("model", model, columns);
  for (const auto& [name, metrics] : baselines) print_row(name, metrics, columns);
}

}  // namespace sartor
