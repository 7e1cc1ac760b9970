namespace Isthmus.ControlPlane.Push;

/// <summary>What is made of equal inputs, once for everybody who has them. Entries are counted by their holders: one that nobody holds
/// any more is forgotten. Thread-safe.</summary>
/// <param name="make">A pure function of the inputs.</param>
/// <param name="comparer">Finds equal inputs by a cheap hash; what is unequal is only made once more.</param>
internal sealed class SharedTable<TInputs, TMade>(Func<TInputs, TMade> make, IEqualityComparer<TInputs> comparer)
    where TInputs : notnull
{
    private readonly Lock _lock = new();
    private readonly Dictionary<TInputs, Entry> _entries = new(comparer);

    public int Count
    {
        get { lock (_lock) return _entries.Count; }
    }

    /// <summary>The entry of these inputs; whoever takes it returns it.</summary>
    public Entry Take(TInputs inputs)
    {
        Entry? entry;
        lock (_lock)
        {
            if (!_entries.TryGetValue(inputs, out entry)) _entries[inputs] = entry = new(inputs, make);
            entry.Holders++;
        }
        return entry;
    }

    /// <summary>More holders of entries that somebody holds.</summary>
    public void Keep(IEnumerable<Entry> entries)
    {
        lock (_lock)
        {
            foreach (var entry in entries) entry.Holders++;
        }
    }

    public void Return(Entry entry)
    {
        lock (_lock)
        {
            if (--entry.Holders == 0) _entries.Remove(entry.Inputs);
        }
    }

    internal sealed class Entry(TInputs inputs, Func<TInputs, TMade> make)
    {
        private readonly Lock _making = new();
        private TMade? _made;
        private volatile bool _isMade;

        public TInputs Inputs => inputs;

        /// <summary>The first holder to ask makes it, outside of the table's lock.</summary>
        public TMade Made
        {
            get
            {
                if (_isMade) return _made!;
                lock (_making)
                {
                    if (_isMade) return _made!;
                    _made = make(inputs);
                    _isMade = true;
                    return _made;
                }
            }
        }

        /// <summary>Changed only under the table's lock.</summary>
        internal int Holders { get; set; }
    }
}
