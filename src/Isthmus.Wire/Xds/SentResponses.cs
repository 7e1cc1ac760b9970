namespace Isthmus.Wire.Xds;

/// <summary>What a delta client has not answered yet of one type, and what it rejects.</summary>
internal sealed class SentResponses
{
    /// <summary>A client that never answers, but asks, makes no more than this many wait.</summary>
    private const int MostOutstanding = 16;

    // The names in each response; of tables where it has virtual hosts.
    private readonly Queue<(string Nonce, string[] Names, long OwnBytes)> _sent = new();
    // Why the client rejected resources, by name. An answer is about the resources of its response only.
    private readonly Dictionary<string, string> _rejected = new(StringComparer.Ordinal);
    private long _reasons, _names;

    /// <summary>A response is neither accepted nor rejected.</summary>
    public bool IsOutstanding => _sent.Count > 0;

    /// <summary>About how many bytes it holds that no other stream has.</summary>
    public long OwnBytes => _reasons + _names;

    /// <summary>The reasons of everything that the client rejects at present; empty when that is nothing.</summary>
    public string Rejections => _rejected.Count == 0 ? "" : string.Join("; ", _rejected.Values.Distinct());

    /// <summary>A response was sent.</summary>
    /// <param name="nonce">Its nonce.</param>
    /// <param name="names">What it has.</param>
    /// <param name="own">About how many bytes of names only this stream has.</param>
    public void Await(string nonce, string[] names, long own)
    {
        _sent.Enqueue((nonce, names, own));
        _names += own;
        if (_sent.Count > MostOutstanding) _names -= _sent.Dequeue().OwnBytes;
    }

    /// <summary>What was sent with a nonce: the client has answered that, and everything before.</summary>
    /// <returns>Null: there is no such response.</returns>
    public string[]? Take(string nonce)
    {
        var isKnown = false;
        foreach (var sent in _sent) isKnown |= sent.Nonce == nonce;
        while (isKnown && _sent.TryDequeue(out var taken))
        {
            _names -= taken.OwnBytes;
            if (taken.Nonce == nonce) return taken.Names;
        }
        return null;
    }

    /// <param name="names">What the response had.</param>
    /// <param name="error">Null: the client accepted it.</param>
    public void Answered(string[] names, string? error)
    {
        if (error is null && _rejected.Count == 0) return;
        foreach (var name in names) _rejected.Remove(name);
        if (error is not null)
        {
            var named = Array.FindAll(names, name => error.Contains(name, StringComparison.Ordinal));
            var kept = StreamText.Shorten(error);
            foreach (var name in named.Length > 0 ? named : names) _rejected[name] = kept;
        }
        CountReasons();
    }

    /// <summary>Forgets that the client rejects these.</summary>
    /// <returns>Whether it does.</returns>
    public bool Withdraw(string[] names)
    {
        if (_rejected.Count == 0 || Array.FindAll(names, _rejected.Remove).Length == 0) return false;
        CountReasons();
        return true;
    }

    private void CountReasons() => _reasons = _rejected.Count == 0 ? 0 : _rejected.Values.Distinct().Sum(StreamText.Bytes);
}
