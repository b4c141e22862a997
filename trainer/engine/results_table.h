// Prints the results of a run as a table on stdout.
#pragma once

#include <string>
#include <vector>

#include "engine/scores.h"

namespace sartor {

//                  rmse     mae  recall@10  ndcg@10
//   model        0.9101  0.7176     0.1440   0.2223
//   popularity   1.1258  0.9448     0.1361   0.1982
void print_results(const std::vector<Metric>& model, const Scores& baselines);

}  // namespace sartor
