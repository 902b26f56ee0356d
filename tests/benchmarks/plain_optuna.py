"""What one writes after Optuna's PyTorch tutorial: the same 40-trial search on digits, by hand."""

import sys

import optuna
import torch
from networks import in_torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, TRIALS = 20, 40
KINDS = {"adam": "Adam", "adamw": "AdamW", "adagrad": "Adagrad", "adadelta": "Adadelta"}
bunch = load_digits()
images = torch.tensor(bunch.images / 16, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(bunch.target)
rest, test = train_test_split(range(len(labels)), test_size=270, stratify=labels, random_state=0)
train, valid = train_test_split(rest, test_size=270, stratify=labels[rest], random_state=0)


def optimizer_of(trial: optuna.Trial, model: torch.nn.Module) -> torch.optim.Optimizer:
    name = trial.suggest_categorical(
        "optimizer", ["sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta"]
    )
    lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    if name == "sgd":
        momentum = trial.suggest_float("momentum", 0.0, 0.99)
        nesterov = trial.suggest_categorical("nesterov", [True, False]) and momentum > 0
        return torch.optim.SGD(model.parameters(), lr, momentum, nesterov=nesterov)
    if name == "rmsprop":
        momentum = trial.suggest_float("momentum", 0.0, 0.99)
        return torch.optim.RMSprop(model.parameters(), lr, momentum=momentum)
    return getattr(torch.optim, KINDS[name])(model.parameters(), lr)


def objective(trial: optuna.Trial) -> float:
    model = in_torch("digits_cnn")
    model(images[:2])
    optimizer = optimizer_of(trial, model)
    batch = trial.suggest_categorical("batch_size", [16, 32, 64, 128, 256])
    loader = DataLoader(TensorDataset(images[train], labels[train]), batch, shuffle=True)
    valid_loader = DataLoader(TensorDataset(images[valid], labels[valid]), batch)
    best = 0.0
    for epoch in range(EPOCHS):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for x, y in valid_loader:
                correct += (model(x).argmax(1) == y).sum().item()
        accuracy = correct / len(valid)
        best = max(best, accuracy)
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return best


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=int(sys.argv[1]))
    pruner = optuna.pruners.MedianPruner()
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=TRIALS)
    print(study.best_value)
