using System.Runtime.ExceptionServices;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>
/// Runs code on a thread of its own that first enters namespaces and ends afterwards. Namespaces belong to threads, so a
/// pool thread that entered one would leak it into unrelated work. Sockets and processes that the code creates stay in
/// those namespaces, and you can use them from any thread. The code must neither start threads nor queue work: those would
/// run in the namespaces too.
/// </summary>
internal static class NamespaceThread
{
    /// <exception cref="LinuxException">A namespace could not be entered.</exception>
    internal static T Run<T>(NamespaceHandle network, Func<T> body) => Run([network], body);

    internal static void Run(NamespaceHandle network, Action body) => Run<object?>([network], () =>
    {
        body();
        return null;
    });

    /// <summary>
    /// Enters <paramref name="namespaces"/> in order. To enter a mount namespace, the thread must own its working directory
    /// (CLONE_FS); this method takes care of it. After the thread enters a PID namespace, <paramref name="body"/> may start
    /// processes but no threads.
    /// </summary>
    internal static T Run<T>(ReadOnlySpan<NamespaceHandle> namespaces, Func<T> body)
    {
        var entered = namespaces.ToArray();
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                if (Array.Exists(entered, n => n.Kind == NamespaceKinds.Mount)) OwnFileSystemContext();
                foreach (var one in entered) one.Enter();
                result = body();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        { IsBackground = true, Name = "namespace" };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    /// <summary>
    /// Like <see cref="Run{T}(ReadOnlySpan{NamespaceHandle}, Func{T})"/>, but it does not block a pool thread meanwhile. An
    /// intermediate thread reports the result: work queued from inside the namespaces could make the pool start a worker
    /// there, and a new thread keeps the namespaces of its creator permanently.
    /// </summary>
    internal static Task<T> RunAsync<T>(NamespaceHandle[] namespaces, Func<T> body)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                done.SetResult(Run(namespaces, body));
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        })
        { IsBackground = true, Name = "namespace-wait" };
        thread.Start();
        return done.Task;
    }

    /// <summary>Gives the calling thread its own working directory, root and umask; without them, setns into a mount
    /// namespace fails with EINVAL.</summary>
    internal static void OwnFileSystemContext() => LinuxException.Check(Libc.Unshare(Libc.CloneFs), "unshare file system context");

    /// <summary>Creates new namespaces for the calling thread, which must be one that ends afterwards.</summary>
    internal static void Unshare(NamespaceKinds kinds)
    {
        var flags = (int)kinds;
        if (kinds.HasFlag(NamespaceKinds.Mount)) flags |= Libc.CloneFs;
        LinuxException.Check(Libc.Unshare(flags), $"unshare {kinds}");
    }
}
