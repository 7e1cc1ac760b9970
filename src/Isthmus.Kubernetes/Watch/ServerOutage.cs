using Isthmus.Kubernetes.Client;

namespace Isthmus.Kubernetes.Watch;

/// <summary>
/// The watches of one API server share it: while the server does not accept connections or credentials, one watch tries for all. Without
/// it, every kind of every lost cluster tries by itself, and each attempt costs a TLS handshake.
/// </summary>
public sealed class ServerOutage(TimeProvider time)
{
    /// <summary>How long a watch waits for the one that tries, at most.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private readonly Lock _guard = new(); // Guards the fields below.
    private object? _tries; // The watch that tries for all; null while there is no outage.
    private Exception? _cause;
    private TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Waits while another watch tries, but not for ever.</summary>
    /// <param name="because">Called with the cause before the wait.</param>
    internal async Task WaitAsync(object watch, Action<Exception> because, CancellationToken stop)
    {
        Task over;
        Exception cause;
        lock (_guard)
        {
            if (_tries is null || _tries == watch) return;
            (over, cause) = (_over.Task, _cause!);
        }
        because(cause);
        try
        {
            await over.WaitAsync(Longest, time, stop).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The watch that tries may be stuck.
        }
    }

    /// <summary>Starts an outage if the failure concerns every watch of the server. Any other answer of the server ends it.</summary>
    internal void Failed(object watch, Exception cause)
    {
        if (!IsOfServer(cause))
        {
            // For example 404: the kind of the watch that tries may not exist there, and the others must not wait for it.
            if (cause is KubeException) Over();
            return;
        }
        lock (_guard)
        {
            _tries ??= watch;
            _cause = cause;
        }
    }

    /// <summary>The server has answered.</summary>
    internal void Over()
    {
        lock (_guard)
        {
            if (_tries is null) return;
            (_tries, _cause) = (null, null);
            _over.TrySetResult();
            _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>A watch has ended: if it was the one that tries, the others try.</summary>
    internal void Left(object watch)
    {
        lock (_guard)
        {
            if (_tries != watch) return;
        }
        Over();
    }

    private static bool IsOfServer(Exception cause) => cause switch
    {
        KubeException { Code: 401 } => true,
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
            or HttpRequestError.SecureConnectionError } => true,
        _ => cause.InnerException is { } inner && IsOfServer(inner),
    };
}
