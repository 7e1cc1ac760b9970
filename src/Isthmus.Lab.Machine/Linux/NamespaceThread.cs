using System.Runtime.ExceptionServices;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>
/// Runs code on a thread of its own that first enters namespaces, and that ends afterwards: namespaces belong to
/// threads, so a thread of the pool that entered one would leak it into other people's work. Sockets made and
/// processes started there stay in those namespaces and are used from any thread. The code that runs there must neither
/// start threads nor queue work: what comes of it would live in the namespaces too.
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
    /// Enters <paramref name="namespaces"/> in order. A mount namespace needs this thread to own its working directory
    /// (CLONE_FS), which is arranged. Entering a PID namespace here means that <paramref name="body"/> may start
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
    /// As <see cref="Run{T}(ReadOnlySpan{NamespaceHandle}, Func{T})"/>, without holding a thread of the pool meanwhile. A thread
    /// in between tells the result: work that is queued from inside the namespaces could make the pool start a worker
    /// there, and a new thread inherits the namespaces of its maker, for ever.
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

    /// <summary>Gives the calling thread a working directory, root and umask of its own; setns into a mount namespace is EINVAL without.</summary>
    internal static void OwnFileSystemContext() => LinuxException.Check(Libc.Unshare(Libc.CloneFs), "unshare file system context");

    /// <summary>Makes new namespaces for the calling thread, which must be one that ends afterwards.</summary>
    internal static void Unshare(NamespaceKinds kinds)
    {
        var flags = (int)kinds;
        if (kinds.HasFlag(NamespaceKinds.Mount)) flags |= Libc.CloneFs;
        LinuxException.Check(Libc.Unshare(flags), $"unshare {kinds}");
    }
}
