using Isthmus.Lab.Nodes.Containers;

namespace Isthmus.Lab.Nodes.Server;

/// <summary>Programs whose clients have left. Each is awaited until it ends, so that it does not stay a zombie.</summary>
internal sealed class LeftPrograms : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _guard = new(); // guards the set: clients leave side by side
    private readonly HashSet<Task> _waiting = [];

    /// <summary>Cancelled when this node stops. The programs continue to run.</summary>
    internal CancellationToken Stop => _stop.Token;

    /// <param name="exited">Completes at the end of the program, or when cancelled by <see cref="Stop"/>.</param>
    internal void Add(ContainerExec exec, Task exited)
    {
        lock (_guard)
        {
            _waiting.RemoveWhere(one => one.IsCompleted);
            _waiting.Add(WaitAsync(exec, exited));
        }
    }

    internal async Task CloseAsync()
    {
        await _stop.CancelAsync();
        Task[] left;
        lock (_guard) left = [.. _waiting];
        await Task.WhenAll(left);
    }

    public void Dispose() => _stop.Dispose();

    private async Task WaitAsync(ContainerExec exec, Task exited)
    {
        using (exec)
        {
            try
            {
                await exited;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // The lab's first process reaps it.
            }
        }
    }
}
