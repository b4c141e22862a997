// What a classification head predicts.
#pragma once

namespace sartor::transformer {

enum class Problem {
  single_label,  // one class of several, by softmax
  multi_label,   // any number of classes, by a sigmoid each
  regression     // numbers
};

}  // namespace sartor::transformer
