namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>
/// Changes of one resource as a linked list: the writer appends, any number of readers follow at their own pace, and what all have passed
/// is collected.
/// </summary>
internal sealed class ChangeLog
{
    private Node _head = new(null);
    private Node _tail;
    private TaskCompletionSource _appended = NewSignal();

    internal ChangeLog() => _tail = _head;

    /// <summary>The node before the oldest change that is kept.</summary>
    internal Node Head => Volatile.Read(ref _head);

    internal Node Tail => Volatile.Read(ref _tail);

    internal Task Appended => Volatile.Read(ref _appended).Task;

    /// <summary>Writer only.</summary>
    internal void Append(ObjectChange change)
    {
        var node = new Node(change);
        Volatile.Write(ref _tail.Next, node);
        Volatile.Write(ref _tail, node);
    }

    /// <summary>Writer only: wakes the readers, once for each batch.</summary>
    internal void Signal() => Interlocked.Exchange(ref _appended, NewSignal()).SetResult();

    /// <summary>Writer only: forgets the oldest change.</summary>
    internal void DropOldest() => Volatile.Write(ref _head, Head.Next ?? Head);

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal sealed class Node(ObjectChange? change)
    {
        internal Node? Next;

        internal ObjectChange? Change { get; } = change;
    }
}
