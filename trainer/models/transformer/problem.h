// Type of the prediction of a classification head.
#pragma once

namespace sartor::transformer {

enum class Problem {
  single_label,  // one class, by softmax
  multi_label,   // any number of classes, by a sigmoid per class
  regression     // one or more numbers
};

}  // namespace sartor::transformer
