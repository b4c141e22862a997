// Losses of direct preference optimization over pairs of a chosen and a rejected text.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor {

struct PreferenceLoss {
  bool ipo = false;
  double beta = 0.1;
  double label_smoothing = 0;  // assumed share of pairs in the wrong order; not for ipo

  // Losses (P) of P pairs. log_ratios (2, P): log-probability of the chosen (0) and the rejected (1) texts, minus that
  // of the reference model; tokens (2, P): their numbers of tokens, of the same dtype. With d the difference of the log
  // ratios, s the label smoothing and sigma the logistic function,
  //
  //   dpo   -(1 - s) log sigma(beta d) - s log sigma(-beta d)        Rafailov et al. 2023, equation 7; s: cDPO
  //   ipo   (d - 1 / (2 beta))^2, with log ratios per token          Azar et al. 2023, equation 17
  at::Tensor operator()(const at::Tensor& log_ratios, const at::Tensor& tokens) const;
};

}  // namespace sartor
